package dialect

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// CheckRequired refuses a file that lacks a host, or lacks times, unless the sender supplies them. It returns nil if
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

// Samples assigns times to the samples of a file without times: Options.Start to the first, and to each other one
// Options.Interval (default a second) after the one before. Not safe for concurrent use.
type Samples struct {
	clock    *Clock
	at       time.Time
	interval time.Duration
}

// NewSamples returns Samples at the first sample. Options.Start must be set.
func NewSamples(opt Options) *Samples {
	return &Samples{clock: NewClock(opt), at: opt.Start, interval: cmp.Or(max(opt.Interval, 0), time.Second)}
}

// Next advances to the next sample.
func (s *Samples) Next() { s.at = s.at.Add(s.interval) }

// At returns the sample's time, or an error if no reading can have it.
func (s *Samples) At() (events.Timestamp, error) { return s.clock.TimestampOf(s.at) }

// TimestampOf returns the timestamp of an instant that was not read from the file. It refuses the same times as Read.
func (c *Clock) TimestampOf(at time.Time) (events.Timestamp, error) {
	return c.checkRange(at.Unix(), int64(at.Nanosecond()))
}
