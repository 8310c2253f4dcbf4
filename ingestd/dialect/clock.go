package dialect

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"telemetry-pipeline/events"
)

// Instant is a time that was read from a text.
type Instant struct {
	At          events.Timestamp
	ZoneAssumed bool // the text named no zone
	Twice       bool // the clock showed this time twice, because it was set back: At is the earlier one
}

// Clock reads times: RFC 3339 with any fraction, the same without a zone and with a blank or slashes (read in
// Options.Zone), and epoch numbers in seconds, milliseconds, microseconds or nanoseconds, distinguished by their
// size. Digits finer than a nanosecond are dropped. An empty text means Options.At, if that is set. Anything else,
// such as 07/18/2025, is refused, never guessed. Not safe for concurrent use.
type Clock struct {
	zone    *time.Location
	emptyAt time.Time // the time of empty texts
	latest  int64     // seconds; later ones are refused
	now     time.Time

	text []byte // cache of the last text and its result, because neighbours often have the same time
	last Instant
	err  error
}

// NewClock returns a clock for one goroutine.
func NewClock(opt Options) *Clock {
	c := &Clock{zone: opt.Zone, emptyAt: opt.At, now: opt.Now, latest: math.MaxInt64/int64(time.Second) - 1}
	if c.zone == nil {
		c.zone = time.UTC
	}
	if !opt.Now.IsZero() {
		c.latest = min(c.latest, opt.Now.Add(MaxAhead).Unix())
	}
	return c
}

// Read returns the time that a text states. Its error explains the fault in the text to a person.
func (c *Clock) Read(text []byte) (Instant, error) {
	if c.text == nil || !bytes.Equal(text, c.text) {
		c.last, c.err = c.readUncached(bytes.TrimSpace(text))
		c.text = append(c.text[:0], text...)
	}
	return c.last, c.err
}

const wanted = "write it as 2025-07-18T20:42:34Z or in epoch seconds"

var (
	errNoTime  = errors.New("no time; " + wanted)
	errNotTime = errors.New("not a time that can be read for certain (an order of day and month is never guessed); " + wanted)
)

func (c *Clock) readUncached(text []byte) (Instant, error) {
	switch {
	case len(text) == 0 && c.emptyAt.IsZero():
		return Instant{}, errNoTime
	case len(text) == 0:
		at, err := c.checkRange(c.emptyAt.Unix(), int64(c.emptyAt.Nanosecond()))
		return Instant{At: at}, err
	}
	if d, zone, ok := readDate(text); ok {
		return c.resolveDate(d, zone)
	}
	n, err := events.ParseNumber(text)
	if err != nil {
		return Instant{}, errNotTime
	}
	return c.resolveEpoch(n)
}

// otherZone is the remedy for a time that was read in the wrong zone.
const otherZone = "say with tz which zone is meant (?tz=Europe/Berlin, or -tz of the client)"

// zoneSpread is the time between the earliest and the latest clock of the world, in seconds.
const zoneSpread = 26 * 60 * 60

// resolveDate returns the instant of a date and time of day in its zone.
func (c *Clock) resolveDate(d date, zone []byte) (Instant, error) {
	if !d.isValid() {
		return Instant{}, fmt.Errorf("not a time: there is no such day or hour; %s", wanted)
	}
	if len(zone) > 0 {
		offset, ok := readOffset(zone)
		if !ok {
			return Instant{}, fmt.Errorf("its zone %.16q cannot be read; write Z or an offset such as +02:00", zone)
		}
		at, err := c.checkRange(d.unixSeconds()-offset, d.nanos)
		return Instant{At: at}, err
	}
	seconds, twice, ok := d.secondsIn(c.zone)
	if !ok {
		return Instant{}, fmt.Errorf("the clocks of %s were set forward over this time; write it with its zone, or %s", c.zone, otherZone)
	}
	at, err := c.checkRange(seconds, d.nanos)
	if err != nil {
		if _, elsewhere := c.checkRange(seconds-zoneSpread, d.nanos); elsewhere == nil {
			err = fmt.Errorf("%w It names no zone and was read in %s; %s", err, c.zone, otherZone)
		}
	}
	return Instant{At: at, ZoneAssumed: true, Twice: twice}, err
}

// resolveEpoch returns the instant of a number of seconds, or of finer units if it is too great for seconds. The
// limits are in 1973 and 5138.
func (c *Clock) resolveEpoch(n events.Number) (Instant, error) {
	digits := 9 // between the unit and a nanosecond
	for _, limit := range [...]events.Number{{Mantissa: 1, Exponent: 11}, {Mantissa: 1, Exponent: 14}, {Mantissa: 1, Exponent: 17}} {
		if n.Compare(limit) < 0 {
			break
		}
		digits -= 3
	}
	if n.Exponent < 0 && digits < 9 {
		return Instant{}, fmt.Errorf("an epoch time in units finer than seconds has no fraction; %s", wanted)
	}
	seconds, nanos, ok := splitSeconds(n, digits)
	if !ok {
		return Instant{}, errNotTime
	}
	at, err := c.checkRange(seconds, nanos)
	return Instant{At: at}, err
}

// splitSeconds returns n × 10^digits nanoseconds as seconds and nanoseconds.
func splitSeconds(n events.Number, digits int) (seconds, nanos int64, ok bool) {
	v := n.Mantissa
	for e := int(n.Exponent) + digits; e != 0; {
		if e < 0 {
			v /= 10
			e++
			continue
		}
		if v > math.MaxInt64/10 || v < math.MinInt64/10 {
			return 0, 0, false
		}
		v *= 10
		e--
	}
	seconds, nanos = v/int64(time.Second), v%int64(time.Second)
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+int64(time.Second)
	}
	return seconds, nanos, true
}

// earliest is 2010-01-01: an earlier time is a wrong unit or an unset clock.
const earliest = 1262304000

// checkRange refuses times that no reading can have.
func (c *Clock) checkRange(seconds, nanos int64) (events.Timestamp, error) {
	if seconds < earliest {
		return 0, fmt.Errorf("it reads as %s, before 2010: is the unit or the clock of the source wrong?", formatInstant(seconds, nanos))
	}
	if seconds > c.latest {
		if c.now.IsZero() {
			return 0, fmt.Errorf("it reads as %s, which is later than times can be here", formatInstant(seconds, nanos))
		}
		return 0, fmt.Errorf("it reads as %s, more than %g h ahead of the receiver's %s: is the unit, the zone or a clock wrong?",
			formatInstant(seconds, nanos), MaxAhead.Hours(), c.now.UTC().Format(time.RFC3339))
	}
	return events.Timestamp(seconds*int64(time.Second) + nanos), nil
}

func formatInstant(seconds, nanos int64) string {
	return time.Unix(seconds, nanos).UTC().Format(time.RFC3339Nano)
}

// ReadRow reads the time of a row, or rejects the row. It adds warnings about a doubtful time to out.
func (c *Clock) ReadRow(line int, column string, text []byte, out *Parsed) (Instant, bool) {
	instant, err := c.Read(text)
	if err != nil {
		out.Reject(line, column, text, err.Error())
		return instant, false
	}
	out.ZoneAssumed = instant.ZoneAssumed
	if instant.Twice {
		out.Warn(line, column, text, AmbiguousTime)
	}
	return instant, true
}
