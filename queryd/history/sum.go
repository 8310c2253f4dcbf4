package history

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// sums makes buckets of one host's records.
type sums struct {
	step  time.Duration
	span  span // of record times that count
	p95   bool // keep what P95 needs
	cells map[cell]*Bucket
}

type cell struct {
	at     events.Timestamp
	entity events.Entity
}

func newSums(step time.Duration, s span, aggregates []Aggregate) *sums {
	return &sums{step: step, span: s, p95: slices.Contains(aggregates, P95), cells: make(map[cell]*Bucket)}
}

// part takes in all that there is of the host in some windows.
func (s *sums) part(p *part, sel *selection) {
	for _, set := range p.series() {
		s.add(&set, sel)
	}
	for _, r := range p.rolled {
		sum := Summary{Metric: r.metric, Count: r.Count, Min: r.Min, Max: r.Max, Last: r.Last, LastAt: r.LastAt, Sum: r.Sum}
		s.put(cell{slotStart(slotOf(r.Start, s.step), s.step), r.entity}, &sum)
	}
}

// add takes records in: sets of one host whose times no earlier call had.
func (s *sums) add(series *projections.HostWindow, sel *selection) {
	for rest := series.Columns; len(rest) > 0; {
		first := &rest[0]
		n := 1
		for n < len(rest) && rest[n].Entity == first.Entity && rest[n].Metric == first.Metric {
			n++
		}
		if sel.wants(first.Entity, first.Metric) {
			samples := first.Samples
			for i := range rest[1:n] {
				samples, _ = events.Union(samples, rest[1+i].Samples)
			}
			s.samples(first.Entity, first.Metric, &samples)
		}
		rest = rest[n:]
	}
}

// samples takes the distinct readings of one metric of one entity.
func (s *sums) samples(entity events.Entity, metric string, all *events.Samples) {
	lo, _ := slices.BinarySearch(all.Times, s.span.from)
	for lo < len(all.Times) && all.Times[lo] <= s.span.to {
		slot := slotOf(all.Times[lo], s.step)
		end := min(slotEnd(slot, s.step), s.span.to)
		hi := lo + 1
		for hi < len(all.Times) && all.Times[hi] <= end {
			hi++
		}
		if sum := s.sum(all, lo, hi); sum.Count > 0 {
			sum.Metric = metric
			s.put(cell{slotStart(slot, s.step), entity}, &sum)
		}
		lo = hi
	}
}

// sum sums up rows of canonical samples.
func (s *sums) sum(all *events.Samples, lo, hi int) Summary {
	if all.Exponents == nil {
		if sum, fits := s.scaled(all, lo, hi); fits {
			return sum
		}
	}
	var sum Summary
	for i := lo; i < hi; i++ {
		at, v := all.At(i)
		if v.Absent != events.Present {
			continue
		}
		n := v.Number
		one := Summary{Count: 1, Min: n, Max: n, Last: n, LastAt: at, Sum: n.Float()}
		if s.p95 {
			one.all = []events.Number{n}
		}
		sum.add(&one)
	}
	return sum
}

// scaled is sum for numbers of one exponent, which are compared and added as whole numbers; it does not fit when
// they add up to more than an int64 holds. Of readings of one time the canonical order has the one that counts
// last.
func (s *sums) scaled(all *events.Samples, lo, hi int) (sum Summary, fits bool) {
	at, _ := slices.BinarySearchFunc(all.Absent, lo, func(a events.Absence, row int) int { return cmp.Compare(a.Row, row) })
	absent := all.Absent[at:]
	var least, most, total int64
	last := -1
	if s.p95 {
		sum.all = make([]events.Number, 0, hi-lo)
	}
	for i := lo; i < hi; i++ {
		if len(absent) > 0 && absent[0].Row == i {
			absent = absent[1:]
			continue
		}
		m := all.Mantissas[i]
		if last < 0 {
			least, most = m, m
		}
		least, most, last = min(least, m), max(most, m), i
		more := total + m
		if (more > total) != (m > 0) {
			return Summary{}, false
		}
		total = more
		sum.Count++
		if s.p95 {
			sum.all = append(sum.all, events.NumberOf(m, all.Exponent))
		}
	}
	if last < 0 {
		return Summary{}, true
	}
	sum.Min, sum.Max = events.NumberOf(least, all.Exponent), events.NumberOf(most, all.Exponent)
	sum.Last, sum.LastAt = events.NumberOf(all.Mantissas[last], all.Exponent), all.Times[last]
	sum.Sum = events.NumberOf(total, all.Exponent).Float()
	return sum, true
}

// put counts a summary in its bucket.
func (s *sums) put(c cell, sum *Summary) {
	b := s.cells[c]
	if b == nil {
		b = &Bucket{At: c.at, Entity: c.entity}
		s.cells[c] = b
	}
	at, found := slices.BinarySearchFunc(b.Metrics, sum.Metric, func(have Summary, metric string) int { return strings.Compare(have.Metric, metric) })
	if !found {
		b.Metrics = slices.Insert(b.Metrics, at, Summary{Metric: sum.Metric})
	}
	b.Metrics[at].add(sum)
}

// buckets gives them in the wanted order.
func (s *sums) buckets(host *projections.Host, oldest bool) []Bucket {
	out := make([]Bucket, 0, len(s.cells))
	for _, b := range s.cells {
		b.Host, b.Identity = host.ID, lasting(host, b.Entity)
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b Bucket) int {
		if oldest {
			return a.Place().Compare(b.Place())
		}
		return b.Place().Compare(a.Place())
	})
	return out
}

// lasting gives what is known of an entity and does not change from one bucket to the next.
func lasting(host *projections.Host, e events.Entity) events.Identity {
	at, found := slices.BinarySearchFunc(host.Live.Entities, e, func(have projections.LiveEntity, e events.Entity) int { return have.Entity.Compare(e) })
	if !found {
		return events.Identity{}
	}
	known, ok := host.Identity.Find(host.Live.Entities[at].Identity)
	if !ok {
		return events.Identity{}
	}
	id := known.Identity
	return events.Identity{
		UUID: id.UUID, Index: id.Index, PCI: id.PCI, Device: id.Device, Model: id.Model,
		MIG: id.MIG, MIGProfile: id.MIGProfile, Part: id.Part,
	}
}
