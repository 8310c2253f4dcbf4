package tail

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// Config selects the shown events and their form. The zero value shows all records from now on.
type Config struct {
	Filter filter.Filter
	Since  time.Duration // begin with events that were appended at most this long ago
	From   string        // begin with this revision, or number of one; 0 is the beginning of the log
	Last   int           // begin with the newest Last lines
	Events bool          // a line per event, not per record
	JSON   bool          // lines are JSON objects
	Once   bool          // end once the stored events have been shown
}

// maxLast bounds Last, whose lines are kept until the first is known.
const maxLast = 100_000

// Flags registers the settings and the flags of the filter.
func (c *Config) Flags(fs *flag.FlagSet) {
	c.Filter.Flags(fs)
	fs.DurationVar(&c.Since, "since", 0, "begin with what was appended so long ago, such as 10m")
	fs.StringVar(&c.From, "from", "", "begin with this revision of the log, as answers and lines show it; 0 is the beginning")
	fs.IntVar(&c.Last, "n", 0, "begin with so many of the newest lines")
	fs.BoolVar(&c.Events, "events", false, "a line per event; without it a line per record")
	fs.BoolVar(&c.JSON, "json", false, "lines are JSON objects")
	fs.BoolVar(&c.Once, "once", false, "end when what there is has been shown; without it, follow the log until Ctrl-C")
}

func (c *Config) validate() error {
	given := 0
	for _, one := range []bool{c.Since != 0, c.From != "", c.Last != 0} {
		if one {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("-since, -from and -n each say where to begin; give one of them")
	case c.Since < 0:
		return fmt.Errorf("-since %s is in the future; write it as 10m", c.Since)
	case c.Last < 0 || c.Last > maxLast:
		return fmt.Errorf("-n takes 1 to %d lines", maxLast)
	}
	return nil
}

// fromRevision parses Config.From; head is any revision of the log.
func (c *Config) fromRevision(head events.Revision) (events.Revision, error) {
	if n, err := strconv.ParseInt(c.From, 10, 64); err == nil && n >= 0 {
		head.Number = n
		return head, nil
	}
	rev, err := events.ParseRevision(c.From)
	if err != nil {
		return rev, fmt.Errorf("-from %q is no revision: give one as answers have it, or its number", c.From)
	}
	if !rev.SameLog(head) {
		return rev, fmt.Errorf("-from %s: %w", c.From, events.ErrForeign)
	}
	return rev, nil
}
