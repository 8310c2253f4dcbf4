package history

import (
	"cmp"
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// position is an entry's place in the order of answers.
type position struct {
	at     events.Timestamp
	host   events.HostID
	entity events.Entity
}

func placeOf(e *projections.Entry) position {
	return position{at: e.At, host: e.Host, entity: e.Entity}
}

// compare orders by (At, Host, Entity), ascending.
func (p position) compare(q position) int {
	return cmp.Or(
		cmp.Compare(p.at, q.at),
		cmp.Compare(p.host, q.host),
		cmp.Compare(p.entity.GPU, q.entity.GPU),
		cmp.Compare(p.entity.Part, q.entity.Part),
	)
}

// span is a range of record time, both ends included.
type span struct{ from, to events.Timestamp }

// everything is the span of a query without a range.
func everything() span { return span{from: math.MinInt64, to: math.MaxInt64} }

func spanOf(q Query) span {
	s := everything()
	if q.HasFrom {
		s.from = q.From
	}
	if q.HasTo {
		s.to = q.To
	}
	return s
}

// within gives the part of s that lies in window w.
func (s span) within(w projections.Window) span {
	last := events.Timestamp(math.MaxInt64)
	if w < projections.WindowOf(last) {
		last = (w + 1).Start() - 1
	}
	return span{from: max(s.from, w.Start()), to: min(s.to, last)}
}

func (s span) empty() bool { return s.from > s.to }
