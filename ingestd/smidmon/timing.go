package smidmon

import (
	"bytes"
	"strconv"
	"time"

	"telemetry-pipeline/ingestd/dialect"
)

// timing determines the times of rows.
type timing struct {
	opt      dialect.Options
	clock    *dialect.Clock
	samples  *dialect.Samples // for rows without a time, which are counted
	sample   sample
	previous time.Time // time of the row before, for rows with the time of day only
}

func newTiming(opt dialect.Options) *timing {
	return &timing{opt: opt, clock: dialect.NewClock(opt), samples: dialect.NewSamples(opt), previous: opt.Start}
}

// countedTime returns the time of a row by the number of samples so far.
func (t *timing) countedTime(gpu int, process []byte) (dialect.Instant, error) {
	if err := t.opt.CheckRequired(false, true); err != nil {
		return dialect.Instant{}, err
	}
	if t.sample.endsBefore(gpu, process) {
		t.samples.Next()
	}
	at, err := t.samples.At()
	return dialect.Instant{At: at}, err
}

// datedTime returns the time of a date, mostly 20250718, and a time of day.
func (t *timing) datedTime(date, clock []byte) (dialect.Instant, error) {
	return t.clock.Read(joinDateTime(date, clock))
}

// nearestTime returns the instant of a time of day on the day that brings it nearest to the row before, or to the
// first sample's time from the sender.
func (t *timing) nearestTime(clock []byte) (nearest dialect.Instant, err error) {
	if err := t.opt.CheckRequired(false, true); err != nil {
		return nearest, err
	}
	const day = 24 * time.Hour
	zone := t.opt.Zone
	if zone == nil {
		zone = time.UTC
	}
	distance := time.Duration(-1)
	for _, around := range [...]time.Duration{0, -day, day} {
		date := t.previous.In(zone).Add(around).Format(time.DateOnly)
		instant, bad := t.clock.Read(joinDateTime([]byte(date), clock))
		if bad != nil {
			err = bad
			continue
		}
		if d := instant.At.Time().Sub(t.previous).Abs(); distance < 0 || d < distance {
			nearest, distance = instant, d
		}
	}
	if distance < 0 {
		return nearest, err
	}
	t.previous = nearest.At.Time()
	return nearest, nil
}

// joinDateTime returns a date and a time of day as one text.
func joinDateTime(date, clock []byte) []byte {
	if _, err := strconv.ParseUint(string(date), 10, 32); err == nil && len(date) == len("20250718") {
		date = bytes.Join([][]byte{date[:4], date[4:6], date[6:]}, []byte("-"))
	}
	return bytes.Join([][]byte{date, clock}, []byte("T"))
}

// sample holds the rows of the current sample.
type sample struct {
	begun bool
	gpu   int  // of the last row
	idle  bool // the last row named no process
	seen  map[process]bool
}

type process struct {
	gpu int
	pid string
}

// maxSeen bounds a sample; a longer one forgets its rows.
const maxSeen = 1 << 16

// endsBefore reports whether a row begins a new sample, and adds the row to the new or the current one. Rows of a GPU
// itself, or of an idle GPU, name no process.
func (s *sample) endsBefore(gpu int, pid []byte) bool {
	idle := len(pid) == 0
	p := process{gpu, string(pid)}
	ends := s.begun && (gpu < s.gpu || gpu == s.gpu && (idle || s.idle) || s.seen[p])
	if ends || len(s.seen) == maxSeen || s.seen == nil {
		s.seen = map[process]bool{}
	}
	s.begun, s.gpu, s.idle, s.seen[p] = true, gpu, idle, true
	return ends
}
