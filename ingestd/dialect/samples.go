package dialect

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// CheckRequired refuses a file that does not say its host, or not its times, unless the sender says them. Nil:
// nothing is missing.
func (o Options) CheckRequired(host, times bool) error {
	var missing []string
	if host && o.Host == "" {
		missing = append(missing, "it names no host: give the host of all rows with ?host=")
	}
	if times && o.Start.IsZero() {
		missing = append(missing, "it does not say when: give the time of its first sample with ?start=, and with ?interval= the span between samples if that is not 1s")
	}
	if missing == nil {
		return nil
	}
	return errors.New(strings.Join(missing, "; "))
}

// Samples gives times to the samples of a file that has none: the first is of Options.Start, and each is of
// Options.Interval (default a second) after the one before. Not safe for concurrent use.
type Samples struct {
	clock    *Clock
	at       time.Time
	interval time.Duration
}

// NewSamples starts at the first sample. Options.Start must be set.
func NewSamples(opt Options) *Samples {
	return &Samples{clock: NewClock(opt), at: opt.Start, interval: cmp.Or(max(opt.Interval, 0), time.Second)}
}

// Next goes on to the next sample.
func (s *Samples) Next() { s.at = s.at.Add(s.interval) }

// At gives the sample's time, unless it cannot be that of a reading.
func (s *Samples) At() (events.Timestamp, error) { return s.clock.TimestampOf(s.at) }

// TimestampOf gives the timestamp of an instant that was not read from the file, and refuses what Read would.
func (c *Clock) TimestampOf(at time.Time) (events.Timestamp, error) {
	return c.checkRange(at.Unix(), int64(at.Nanosecond()))
}
