package history

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// bucketSums adds up one host's records by bucket.
type bucketSums struct {
	step  time.Duration
	times timeRange // of record times that count
	p95   bool      // keep every number for P95
	cells map[bucketKey]*Bucket
}

type bucketKey struct {
	at     events.Timestamp
	entity events.Entity
}

func newSums(step time.Duration, s timeRange, aggregates []Aggregate) *bucketSums {
	return &bucketSums{step: step, times: s, p95: slices.Contains(aggregates, P95), cells: make(map[bucketKey]*Bucket)}
}

// addPart adds all records and sums of the host in some windows.
func (s *bucketSums) addPart(p *hostPart, sel *selection) {
	for _, set := range p.windowSets() {
		s.addWindow(&set, sel)
	}
	for _, r := range p.rolled {
		if !sel.coversReading(r.entity, r.metric) {
			continue
		}
		sum := Summary{Metric: r.metric, Count: r.Count, Min: r.Min, Max: r.Max, Last: r.Last, LastAt: r.LastAt, Sum: r.Sum}
		s.addSummary(bucketKey{slotStart(slotOf(r.Start, s.step), s.step), r.entity}, &sum)
	}
}

// addWindow adds records of one host, none of whose times were added before.
func (s *bucketSums) addWindow(series *projections.HostWindow, sel *selection) {
	for rest := series.Columns; len(rest) > 0; {
		first := &rest[0]
		n := 1
		for n < len(rest) && rest[n].Entity == first.Entity && rest[n].Metric == first.Metric {
			n++
		}
		if sel.coversReading(first.Entity, first.Metric) {
			samples := first.Samples
			for i := range rest[1:n] {
				samples, _ = events.Union(samples, rest[1+i].Samples)
			}
			s.addSamples(first.Entity, first.Metric, &samples)
		}
		rest = rest[n:]
	}
}

// addSamples adds the distinct readings of one metric of one entity.
func (s *bucketSums) addSamples(entity events.Entity, metric string, all *events.Samples) {
	lo, _ := slices.BinarySearch(all.Times, s.times.from)
	for lo < len(all.Times) && all.Times[lo] <= s.times.to {
		slot := slotOf(all.Times[lo], s.step)
		end := min(slotEnd(slot, s.step), s.times.to)
		hi := lo + 1
		for hi < len(all.Times) && all.Times[hi] <= end {
			hi++
		}
		if sum := s.sumRows(all, lo, hi); sum.Count > 0 {
			sum.Metric = metric
			s.addSummary(bucketKey{slotStart(slot, s.step), entity}, &sum)
		}
		lo = hi
	}
}

// sumRows returns the summary of rows of canonical samples.
func (s *bucketSums) sumRows(all *events.Samples, lo, hi int) Summary {
	if all.Exponents == nil {
		if sum, fits := s.sumScaled(all, lo, hi); fits {
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
		sum.mergeSummary(&one)
	}
	return sum
}

// sumScaled is sumRows for numbers of one exponent, which are compared and added as integers; fits is false if the
// sum overflows an int64. Among readings of one time, the canonical order puts the one that counts last.
func (s *bucketSums) sumScaled(all *events.Samples, lo, hi int) (sum Summary, fits bool) {
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

// addSummary adds a summary to its bucket.
func (s *bucketSums) addSummary(c bucketKey, sum *Summary) {
	b := s.cells[c]
	if b == nil {
		b = &Bucket{At: c.at, Entity: c.entity}
		s.cells[c] = b
	}
	at, found := slices.BinarySearchFunc(b.Metrics, sum.Metric, func(have Summary, metric string) int { return strings.Compare(have.Metric, metric) })
	if !found {
		b.Metrics = slices.Insert(b.Metrics, at, Summary{Metric: sum.Metric})
	}
	b.Metrics[at].mergeSummary(sum)
}

// sortedBuckets returns the buckets in the wanted order.
func (s *bucketSums) sortedBuckets(host *projections.Host, oldest bool) []Bucket {
	out := make([]Bucket, 0, len(s.cells))
	for _, b := range s.cells {
		b.Host, b.Identity = host.ID, stableIdentity(host, b.Entity)
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

// stableIdentity returns the fields of an entity's identity that do not change between buckets.
func stableIdentity(host *projections.Host, e events.Entity) events.Identity {
	id := host.CurrentIdentity(e)
	return events.Identity{
		UUID: id.UUID, Index: id.Index, PCI: id.PCI, Device: id.Device, Model: id.Model,
		MIG: id.MIG, MIGProfile: id.MIGProfile, Part: id.Part,
	}
}
