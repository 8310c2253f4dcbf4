package history

import (
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// before tells whether a comes before b in the wanted order.
func before(a, b projections.Place, oldest bool) bool {
	if oldest {
		return a.Compare(b) < 0
	}
	return a.Compare(b) > 0
}

const maxTime events.Timestamp = math.MaxInt64

// span is a range of record time, both ends included.
type span struct{ from, to events.Timestamp }

// spanOf gives the range that a query names, all of time when it names none.
func spanOf(q Query) span {
	s := span{from: math.MinInt64, to: math.MaxInt64}
	if q.HasFrom {
		s.from = q.From
	}
	if q.HasTo {
		s.to = q.To
	}
	return s
}

func (s span) empty() bool { return s.from > s.to }

func (s span) holds(at events.Timestamp) bool { return s.from <= at && at <= s.to }

// behind cuts a range to what is at an instant or behind it, in the wanted order.
func (s span) behind(at events.Timestamp, oldest bool) span {
	if oldest {
		return span{from: max(s.from, at), to: s.to}
	}
	return span{from: s.from, to: min(s.to, at)}
}

// upTo cuts a range to what is at an instant or before it, in the wanted order.
func (s span) upTo(at events.Timestamp, oldest bool) span {
	return s.behind(at, !oldest)
}
