package projections

import (
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// A reading whose time is further than MaxAhead behind its event's append is no reading of now: its sender's clock is
// wrong, or the file's times are. It is history at once, and becomes the latest when its time has come (see Release). Of
// each metric the live model keeps the newest such reading of each window.
const (
	MaxAhead  = 5 * time.Minute
	keepAhead = 25 * time.Hour // a reading further ahead is history alone
)

// lastDue returns the last time at which a reading of an event that was appended at an instant is no reading ahead.
func lastDue(appended events.Timestamp) events.Timestamp {
	if appended == 0 || appended > maxTime-events.Timestamp(MaxAhead) {
		return maxTime
	}
	return appended + events.Timestamp(MaxAhead)
}

// noteAhead keeps the newest reading of each window among a column's rows from the given one on.
func (s *slot) noteAhead(c *Column, from int, appended events.Timestamp) {
	for row := from; row < c.Len(); row++ {
		at := c.Times[row]
		if row+1 < c.Len() && WindowOf(c.Times[row+1]) == WindowOf(at) || at-appended > events.Timestamp(keepAhead) {
			continue
		}
		_, v := c.At(row)
		s.addAhead(Latest{Metric: c.Metric, Source: c.Source, At: at, Value: v})
	}
}

func (s *slot) addAhead(l Latest) {
	if have, ok := Find(s.now.Latest, l.Metric); ok && have.At >= l.At {
		return
	}
	i, found := slices.BinarySearchFunc(s.now.Ahead, l, func(a, b Latest) int {
		if c := strings.Compare(a.Metric, b.Metric); c != 0 {
			return c
		}
		return int(WindowOf(a.At) - WindowOf(b.At))
	})
	if found && s.now.Ahead[i].winsOver(l.At, l.Value, l.Source) {
		return
	}
	s.changed = true
	s.now.Ahead = slices.Clone(s.now.Ahead)
	if found {
		s.now.Ahead[i] = l
	} else {
		s.now.Ahead = slices.Insert(s.now.Ahead, i, l)
	}
}

// dropPassed returns the readings ahead without the ones of a metric up to an instant, in a new list if any goes.
func dropPassed(ahead []Latest, metric string, at events.Timestamp) []Latest {
	passed := func(l Latest) bool { return l.Metric == metric && l.At <= at }
	if !slices.ContainsFunc(ahead, passed) {
		return ahead
	}
	if ahead = slices.DeleteFunc(slices.Clone(ahead), passed); len(ahead) == 0 {
		return nil
	}
	return ahead
}

// Release returns the live model at an instant by the reader's clock: readings ahead whose time has come by then are the
// latest of their metric. next is the time at which the next ones come, ok is false when there are none. The argument
// stays as it is.
func (l Live) Release(now events.Timestamp) (released Live, next events.Timestamp, ok bool) {
	due, owned := lastDue(now), false
	for i := range l.Entities {
		e := &l.Entities[i]
		if len(e.Ahead) == 0 {
			continue
		}
		if slices.ContainsFunc(e.Ahead, func(a Latest) bool { return a.At <= due }) {
			if !owned {
				l.Entities, owned = slices.Clone(l.Entities), true
			}
			l.Entities[i] = e.release(due)
		}
		for _, a := range l.Entities[i].Ahead {
			if at := a.At - events.Timestamp(MaxAhead); !ok || at < next {
				next, ok = at, true
			}
		}
	}
	return l, next, ok
}

// NewestDue returns the newest time up to an instant at which readings ahead become the latest; ok is false when there are none.
func (l *Live) NewestDue(now events.Timestamp) (due events.Timestamp, ok bool) {
	for i := range l.Entities {
		for _, a := range l.Entities[i].Ahead {
			if at := a.At - events.Timestamp(MaxAhead); at <= now && (!ok || at > due) {
				due, ok = at, true
			}
		}
	}
	return due, ok
}

// release returns the entity with the readings ahead up to an instant among the latest.
func (e *LiveEntity) release(due events.Timestamp) LiveEntity {
	out := *e
	out.Latest, out.Ahead = slices.Clone(e.Latest), nil
	for _, a := range e.Ahead {
		if a.At > due {
			out.Ahead = append(out.Ahead, a)
			continue
		}
		if i, found := findMetric(out.Latest, a.Metric); found {
			out.Latest[i] = a // readings ahead are newer, and in order
		} else {
			out.Latest = slices.Insert(out.Latest, i, a)
		}
	}
	if len(out.Latest) > 0 {
		out.SeenAt = newestLatest(out.Latest)
	}
	return out
}
