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
	fs.StringVar(&c.Format, "format", ndjson, "ndjson (a line per event, for import) or csv (a row per record, for an upload)")
	fs.StringVar(&c.Out, "out", "", "directory for a file per upload; without it all goes to the standard output")
}

// timeRange is a range of record times, the end excluded.
type timeRange struct{ from, to events.Timestamp }

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
