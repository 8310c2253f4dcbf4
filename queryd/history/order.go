package history

import (
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// comesBefore reports whether a comes before b in the wanted order.
func comesBefore(a, b projections.Place, oldest bool) bool {
	if oldest {
		return a.Compare(b) < 0
	}
	return a.Compare(b) > 0
}

const maxTime events.Timestamp = math.MaxInt64

// timeRange is a range of record times, both ends included.
type timeRange struct{ from, to events.Timestamp }

// queryRange returns the range of a query, all of time if it has none.
func queryRange(q Query) timeRange {
	s := timeRange{from: math.MinInt64, to: math.MaxInt64}
	if q.HasFrom {
		s.from = q.From
	}
	if q.HasTo {
		s.to = q.To
	}
	return s
}

func (s timeRange) isEmpty() bool { return s.from > s.to }

func (s timeRange) contains(at events.Timestamp) bool { return s.from <= at && at <= s.to }

// startingAt returns the part of a range at an instant or after it, in the wanted order.
func (s timeRange) startingAt(at events.Timestamp, oldest bool) timeRange {
	if oldest {
		return timeRange{from: max(s.from, at), to: s.to}
	}
	return timeRange{from: s.from, to: min(s.to, at)}
}

// endingAt returns the part of a range at an instant or before it, in the wanted order.
func (s timeRange) endingAt(at events.Timestamp, oldest bool) timeRange {
	return s.startingAt(at, !oldest)
}
