package history

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
)

// bucketSums adds up one host's records by series and bucket.
type bucketSums struct {
	step   time.Duration
	times  timeRange // of record times that count
	p95    bool      // keep every number for P95
	label  string    // the label whose values have sums of their own; "" for none
	series map[seriesKey]*seriesSums
	points *hostPoints
}

// seriesSums holds the summaries of one series, ascending by slot. They have no Metric.
type seriesSums struct {
	slots []int64
	sums  []Summary
}

func newSums(step time.Duration, s timeRange, aggregates []Aggregate) *bucketSums {
	return &bucketSums{step: step, times: s, p95: slices.Contains(aggregates, P95), series: make(map[seriesKey]*seriesSums)}
}

// seriesOf returns the sums of a series, which it adds if there are none.
func (s *bucketSums) seriesOf(key seriesKey) *seriesSums {
	one := s.series[key]
	if one == nil {
		one = new(seriesSums)
		s.series[key] = one
	}
	return one
}

// grow makes room for the sums of pieces in steps.
func (s *seriesSums) grow(pieces [][]archive.Bucket, step time.Duration) {
	n := 0
	for _, piece := range pieces {
		if last := len(piece) - 1; last >= 0 {
			n += min(len(piece), int(slotOf(piece[last].Start, step)-slotOf(piece[0].Start, step))+1)
		}
	}
	s.slots, s.sums = slices.Grow(s.slots, n), slices.Grow(s.sums, n)
}

// add adds a summary of readings of a slot. Slots mostly ascend.
func (s *seriesSums) add(slot int64, sum *Summary) {
	last := len(s.slots) - 1
	if last < 0 || s.slots[last] < slot {
		s.slots, s.sums = append(s.slots, slot), append(s.sums, *sum)
		return
	}
	if s.slots[last] == slot {
		s.sums[last].mergeSummary(sum)
		return
	}
	at, found := slices.BinarySearch(s.slots, slot)
	if found {
		s.sums[at].mergeSummary(sum)
		return
	}
	s.slots, s.sums = slices.Insert(s.slots, at, slot), slices.Insert(s.sums, at, *sum)
}

// addPart adds all records of the host in some windows. It returns ErrPoints if there are too many sums.
func (s *bucketSums) addPart(p *hostPart, sel *selection) error {
	for _, set := range p.windowSets() {
		if err := s.addWindow(&set, sel); err != nil {
			return err
		}
	}
	return nil
}

// addWindow adds records of one host, none of whose times were added before.
func (s *bucketSums) addWindow(series *projections.HostWindow, sel *selection) error {
	for key, samples := range seriesIn(series, sel, s.label) {
		if err := s.addSamples(key, &samples); err != nil {
			return err
		}
	}
	return nil
}

// seriesIn yields the selected series of a window, with the readings of all sources and identities; with a label the readings of each of its
// values by themselves.
func seriesIn(window *projections.HostWindow, sel *selection, label string) func(yield func(seriesKey, events.Samples) bool) {
	return func(yield func(seriesKey, events.Samples) bool) {
		for rest := window.Columns; len(rest) > 0; {
			first := &rest[0]
			n := 1
			for n < len(rest) && rest[n].Entity == first.Entity && rest[n].Metric == first.Metric {
				n++
			}
			if sel.coversReading(first.Entity, first.Metric) {
				for value, columns := range byLabel(window, rest[:n], label) {
					samples := columns[0].Samples
					for i := range columns[1:] {
						samples, _ = events.Union(samples, columns[1+i].Samples)
					}
					if !yield(seriesKey{first.Entity, first.Metric, value}, samples) {
						return
					}
				}
			}
			rest = rest[n:]
		}
	}
}

// byLabel yields the columns by the value of a label, or all at once without a label.
func byLabel(window *projections.HostWindow, columns []projections.Column, label string) iter.Seq2[string, []projections.Column] {
	if label == "" {
		return func(yield func(string, []projections.Column) bool) { yield("", columns) }
	}
	groups := make(map[string][]projections.Column)
	for _, c := range columns {
		if id := window.Find(c.Identity); id != nil {
			groups[labelOf(id, label)] = append(groups[labelOf(id, label)], c)
		}
	}
	return maps.All(groups)
}

// addSamples adds the distinct readings of one series.
func (s *bucketSums) addSamples(key seriesKey, all *events.Samples) error {
	lo, _ := slices.BinarySearch(all.Times, s.times.from)
	var series *seriesSums
	had := 0
	for lo < len(all.Times) && all.Times[lo] <= s.times.to {
		slot := slotOf(all.Times[lo], s.step)
		end := min(slotEnd(slot, s.step), s.times.to)
		hi := lo + 1
		for hi < len(all.Times) && all.Times[hi] <= end {
			hi++
		}
		if sum := s.sumRows(all, lo, hi); sum.Count > 0 {
			if series == nil {
				series = s.seriesOf(key)
				had = len(series.slots)
			}
			series.add(slot, &sum)
		}
		lo = hi
	}
	if series == nil {
		return nil
	}
	return s.points.addSeries(key, had, len(series.slots))
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

// sortedKeys returns the keys of the series, by entity and metric.
func (s *bucketSums) sortedKeys() []seriesKey {
	keys := make([]seriesKey, 0, len(s.series))
	for key := range s.series {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b seriesKey) int {
		return cmp.Or(a.entity.Compare(b.entity), strings.Compare(a.metric, b.metric), strings.Compare(a.label, b.label))
	})
	return keys
}

// eachEntity calls f with the buckets of each entity, in the wanted order.
func (s *bucketSums) eachEntity(host *projections.Host, oldest bool, f func([]Bucket)) {
	for keys := s.sortedKeys(); len(keys) > 0; {
		n := 1
		for n < len(keys) && keys[n].entity == keys[0].entity {
			n++
		}
		buckets := s.joinSeries(host, keys[:n])
		if !oldest {
			slices.Reverse(buckets)
		}
		f(buckets)
		keys = keys[n:]
	}
}

// joinSeries returns the buckets of the series of one entity, which are sorted by metric, ascending.
func (s *bucketSums) joinSeries(host *projections.Host, keys []seriesKey) []Bucket {
	var slots []int64
	for _, key := range keys {
		slots = append(slots, s.series[key].slots...)
	}
	slices.Sort(slots)
	total := len(slots)
	slots = slices.Compact(slots)
	entity, id := keys[0].entity, stableIdentity(host, keys[0].entity)
	buckets, room := make([]Bucket, len(slots)), make([]Summary, 0, total)
	next := make([]int, len(keys)) // of each series
	for i, slot := range slots {
		buckets[i] = Bucket{At: slotStart(slot, s.step), Host: host.ID, Entity: entity, Identity: id}
		from := len(room)
		for k, key := range keys {
			if one := s.series[key]; next[k] < len(one.slots) && one.slots[next[k]] == slot {
				room = append(room, one.sums[next[k]])
				room[len(room)-1].Metric = key.metric
				next[k]++
			}
		}
		buckets[i].Metrics = room[from:len(room):len(room)]
	}
	return buckets
}

// stableIdentity returns the fields of an entity's identity that do not change between buckets.
func stableIdentity(host *projections.Host, e events.Entity) events.Identity {
	id := host.CurrentIdentity(e)
	return events.Identity{
		UUID: id.UUID, Index: id.Index, PCI: id.PCI, Device: id.Device, Model: id.Model,
		MIG: id.MIG, MIGProfile: id.MIGProfile, Part: id.Part,
	}
}
