package transfer

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// Config selects the exported records and their format. The zero value exports everything, as lines.
type Config struct {
	Filter filter.Filter
	From   string // record times from then on; RFC 3339
	To     string // record times before then
	Format string // "ndjson" or "csv"; default ndjson
	Out    string // directory for a file per upload; "": all on the standard output

	Revision string // only the events at this position of the log; "": all
}

const (
	ndjson = "ndjson"
	csv    = "csv"
)

// Flags registers the settings and the flags of the filter.
func (c *Config) Flags(fs *flag.FlagSet) {
	c.Filter.Flags(fs)
	fs.StringVar(&c.From, "from", "", "only records of this time or later, such as 2025-07-18T20:00:00Z")
	fs.StringVar(&c.To, "to", "", "only records before this time")
	fs.StringVar(&c.Revision, "revision", "", "only the events at this position of the log, as the quarantine lists it; damaged ones with their value")
	fs.StringVar(&c.Format, "format", ndjson, "ndjson (a line per event, for import) or csv (a row per record, for an upload)")
	fs.StringVar(&c.Out, "out", "", "directory for a file per upload; without it all goes to the standard output")
}

// timeRange is a range of record times, the end excluded.
type timeRange struct{ from, to events.Timestamp }

// positions returns the range of the log that is exported, up to its head: after, and upto.
func (c *Config) positions(head events.Revision) (after, upto events.Revision, err error) {
	if c.Revision == "" {
		return events.Revision{}, head, nil
	}
	at, err := events.ParseRevision(c.Revision)
	if err == nil && at.Number < 1 {
		err = errors.New("there is no event before revision 1")
	}
	if err != nil {
		return after, upto, fmt.Errorf("-revision: %w", err)
	}
	after, upto = head, head // of a log of before a restore only the number counts
	after.Number, upto.Number = at.Number-1, at.Number
	return after, upto, nil
}

func (c *Config) validate() (timeRange, error) {
	s := timeRange{from: -1 << 63, to: 1<<63 - 1}
	for _, end := range []struct {
		flag, text string
		at         *events.Timestamp
	}{{"from", c.From, &s.from}, {"to", c.To, &s.to}} {
		if end.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, end.text)
		if err == nil {
			*end.at, err = events.ParseTimestamp(at.UTC().Format(time.RFC3339Nano))
		}
		if err != nil {
			return s, fmt.Errorf("-%s %q is no time; write it as 2025-07-18T20:00:00Z", end.flag, end.text)
		}
	}
	switch {
	case s.from >= s.to:
		return s, errors.New("-from has to be before -to")
	case c.Format != "" && c.Format != ndjson && c.Format != csv:
		return s, fmt.Errorf("-format %q is not known; there are %s and %s", c.Format, ndjson, csv)
	}
	return s, nil
}
