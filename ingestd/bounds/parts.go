package bounds

import (
	"time"

	"telemetry-pipeline/events"
)

// gpuParts are the parts of one GPU in a file. Processes come and go, so a part counts in the minutes from its first record to
// its last.
type gpuParts struct {
	periods map[string]*period
	full    map[int64]struct{} // minutes in which there are as many as there may be
}

// period is the time of a part, in minutes since 1970.
type period struct {
	first, last int64
	forgotten   bool
}

func minuteOf(at events.Timestamp) int64 { return int64(at) / int64(time.Minute) }

// extend adds a record's time, and returns false if the period does not count any more.
func (p *period) extend(at events.Timestamp) bool {
	minute := minuteOf(at)
	p.first, p.last = min(p.first, minute), max(p.last, minute)
	return !p.forgotten
}

// hasRoom reports whether a part is known, or can be one more in that minute. It forgets parts of other minutes when there are too
// many in all.
func (g *gpuParts) hasRoom(part string, at events.Timestamp, most int) bool {
	if g.periods[part] != nil || len(g.periods) < most {
		return true
	}
	minute := minuteOf(at)
	if _, full := g.full[minute]; full {
		return false
	}
	for name, p := range g.periods {
		if minute < p.first || p.last < minute {
			p.forgotten = true
			delete(g.periods, name)
		}
	}
	if len(g.periods) < most {
		clear(g.full)
		return true
	}
	if g.full == nil {
		g.full = map[int64]struct{}{}
	}
	g.full[minute] = struct{}{}
	return false
}

// addRecord adds a record's time to its part and returns the part's period.
func (g *gpuParts) addRecord(part string, at events.Timestamp) *period {
	p := g.periods[part]
	if p == nil {
		p = &period{first: minuteOf(at), last: minuteOf(at)}
		g.periods[part] = p
	}
	p.extend(at)
	return p
}
