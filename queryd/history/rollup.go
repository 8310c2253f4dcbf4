package history

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// rollup reads the archive's sums in place of its records, where both have the same result.
type rollup struct {
	step     time.Duration
	times    timeRange // of record times that count
	additive bool      // an aggregate is requested that counts a record twice if it is in two entries
	onlySums bool      // no aggregate is requested that is not made of sums and counts
}

// newRollup returns the rollup that can answer a query in a range of times; nil if records are required.
func newRollup(q Query, s timeRange) *rollup {
	if q.Step%time.Minute != 0 || slices.Contains(q.Aggregates, P95) {
		return nil
	}
	r := &rollup{step: q.Step, times: s, additive: len(q.Aggregates) == 0, onlySums: len(q.Aggregates) > 0}
	for _, a := range q.Aggregates {
		summed := a == Avg || a == Count
		r.additive, r.onlySums = r.additive || summed, r.onlySums && summed
	}
	return r
}

// seriesKey names the sums of one metric of one entity of a host.
type seriesKey struct {
	entity events.Entity
	metric string
	label  string // value of the label by which the query groups
}

// rolledSums holds the archive's sums of one host, in pieces that each ascend in time.
type rolledSums map[seriesKey][][]archive.Bucket

// readSums adds to sums the windows of a part that the archive's sums can answer, and returns the others. For such a window, no
// minute or hour is cut by the range of times, the stored series has nothing, every entry that may have records
// has sums, and no name goes over from one GPU to another. Two entries with a sum of the same minute or hour may share
// records, and so may two names of one GPU: if an additive aggregate is requested, the records of that window are read
// after all.
func (r *rollup) readSums(ctx context.Context, src *source, p *hostPart, sums *bucketSums) (others []projections.Window, err error) {
	runs, others := r.sumRuns(src, p)
	src.plan.Rolled.Add(int64(len(p.windows) - len(others)))
	fields := archive.AllFields
	if r.onlySums {
		fields = archive.SumFields
	}
	found, err := r.readPieces(ctx, src, p, runs, fields, sums.points)
	if err == nil && r.onlySums && !found.areApart() { // then times decide which sums can be added
		found, err = r.readPieces(ctx, src, p, runs, archive.SumAndTimeFields, sums.points)
	}
	if err != nil {
		return nil, err
	}
	sums.points.reset() // the pieces were counted, which become sums
	if r.additive {
		again := found.repeatedWindows()
		src.plan.Repeated.Add(int64(len(again)))
		others = append(others, again...)
		slices.Sort(others)
		found.dropWindows(again)
	}
	for key, pieces := range found {
		series := sums.seriesOf(key)
		series.grow(pieces, r.step)
		for _, piece := range pieces {
			for i := range piece {
				b := &piece[i]
				series.add(slotOf(b.Start, r.step), &Summary{Count: b.Count, Min: b.Min, Max: b.Max, Last: b.Last, LastAt: b.LastAt, Sum: b.Sum})
			}
		}
		if err := sums.points.addSeries(key, 0, len(series.slots)); err != nil {
			return nil, err
		}
	}
	return others, nil
}

// readPieces returns the sums of runs of windows. Their steps, as slotCount counts them, are then all the points of the host in points.
func (r *rollup) readPieces(ctx context.Context, src *source, p *hostPart, runs []sumRun, fields archive.BucketFields, points *hostPoints) (rolledSums, error) {
	points.reset()
	found, slots := make(rolledSums), slotCount{step: r.step, series: make(map[seriesKey]countedSlots)}
	for _, run := range runs {
		from, to := max(windowStart(run.First), r.times.from), min(windowEnd(run.Last), r.times.to)
		for _, e := range src.entriesOf(p, from, to) {
			f := src.archiveFilter(p, from, to)
			f.Buckets = fields
			for one, err := range src.cold.Rollup(ctx, e, run.kind, f) {
				if err != nil {
					return nil, err
				}
				if !p.covers(src.sel, one.Entity, one.Metric) {
					continue
				}
				for key, piece := range piecesOf(p.host, &one) {
					if !src.sel.coversReading(key.entity, key.metric) {
						continue
					}
					found[key] = append(found[key], piece)
					if had, has := slots.addPiece(key, piece); has > had {
						if err := points.addSeries(key, had, has); err != nil {
							return nil, err
						}
					}
				}
			}
		}
	}
	return found, nil
}

// slotCount counts the steps in which pieces of series are, but never more than there are: a step counts if it is later than all
// before it.
type slotCount struct {
	step   time.Duration
	series map[seriesKey]countedSlots
}

type countedSlots struct {
	n    int
	last int64 // without n nothing
}

// addPiece adds a piece of a series, and returns the numbers of its steps before and after.
func (c *slotCount) addPiece(key seriesKey, piece []archive.Bucket) (had, has int) {
	s := c.series[key]
	had = s.n
	for i := range piece {
		if slot := slotOf(piece[i].Start, c.step); s.n == 0 || slot > s.last {
			s.n, s.last = s.n+1, slot
		}
	}
	c.series[key] = s
	return had, s.n
}

// sumRun is adjacent windows that sums of one kind answer.
type sumRun struct {
	projections.WindowRange
	kind archive.Kind
}

// sumRuns returns the runs of a part's windows that sums can answer, and the other windows.
func (r *rollup) sumRuns(src *source, p *hostPart) (runs []sumRun, others []projections.Window) {
	entries, chunks := src.entriesOf(p, windowStart(src.first), windowEnd(src.last)), src.chunks.Chunks[p.host.ID]
	for _, w := range p.windows {
		for len(chunks) > 0 && chunks[0].Window < w {
			chunks = chunks[1:]
		}
		kind := archive.Kind("")
		if (len(chunks) == 0 || chunks[0].Window != w) && !src.isHot(p, w) {
			kind = r.kindFor(entries, w)
		}
		switch n := len(runs); {
		case kind == "" || !p.keepsNames(w):
			others = append(others, w)
		case n > 0 && runs[n-1].kind == kind && runs[n-1].Last+1 == w:
			runs[n-1].Last = w
		default:
			runs = append(runs, sumRun{projections.WindowRange{First: w, Last: w}, kind})
		}
	}
	return runs, others
}

// rollupSizes are the sizes of the archive's sums, in descending order.
var rollupSizes = []struct { // never written
	kind archive.Kind
	of   time.Duration
}{{archive.Hours, time.Hour}, {archive.Minutes, time.Minute}}

// kindFor returns the kind of sums equivalent to the records of a window; "" if there is none.
func (r *rollup) kindFor(entries []archive.Entry, w projections.Window) archive.Kind {
	from, to := max(windowStart(w), r.times.from), min(windowEnd(w), r.times.to)
	for _, size := range rollupSizes {
		whole := r.step%size.of == 0 && from == slotStart(slotOf(from, size.of), size.of) && to == slotEnd(slotOf(to, size.of), size.of)
		if whole && allHaveSums(entries, w, size.kind) {
			return size.kind
		}
	}
	return ""
}

// allHaveSums reports whether all entries that may have records of a window have sums of a kind.
func allHaveSums(entries []archive.Entry, w projections.Window, kind archive.Kind) bool {
	for i := range entries {
		e := &entries[i]
		if e.To < windowStart(w) || e.From > windowEnd(w) {
			continue
		}
		if _, has := e.Object(kind); !has {
			return false
		}
	}
	return true
}

// keepsNames reports whether each name of a GPU is of the same one through a window.
func (p *hostPart) keepsNames(w projections.Window) bool {
	if p.host.Names == nil {
		return true
	}
	for i := range p.host.Identity.GPUs {
		if !p.host.Names.Keeps(p.host.Identity.GPUs[i].Name, w) {
			return false
		}
	}
	return true
}

// piecesOf yields sums under the GPUs that their name belongs to, each window by itself: a name may go over from one GPU to another
// between two of them.
func piecesOf(host *live.Host, one *archive.Rollup) iter.Seq2[seriesKey, []archive.Bucket] {
	return func(yield func(seriesKey, []archive.Bucket) bool) {
		for buckets := one.Buckets; len(buckets) > 0; {
			entity, n := one.Entity, len(buckets)
			if host.Names != nil {
				entity.GPU = host.Names.Resolve(entity.GPU, buckets[0].Start)
				n = 1
				for n < len(buckets) && host.Names.Resolve(one.Entity.GPU, buckets[n].Start) == entity.GPU {
					n++
				}
			}
			if !yield(seriesKey{entity: entity, metric: one.Metric}, buckets[:n:n]) {
				return
			}
			buckets = buckets[n:]
		}
	}
}

// repeatedWindows returns the windows with a minute or hour in two pieces of one series that may have records of one time,
// ascending.
func (all rolledSums) repeatedWindows() (again []projections.Window) {
	for _, pieces := range all {
		if !areApart(pieces) {
			again = append(again, sharedWindows(slices.Concat(pieces...))...)
		}
	}
	slices.Sort(again)
	return slices.Compact(again)
}

// areApart reports whether no minute or hour is in two pieces of one series. It sorts the pieces.
func (all rolledSums) areApart() bool {
	for _, pieces := range all {
		if !areApart(pieces) {
			return false
		}
	}
	return true
}

// sharedWindows returns the windows of buckets of one minute or hour whose records may be of one time. It sorts the buckets.
func sharedWindows(all []archive.Bucket) (again []projections.Window) {
	slices.SortFunc(all, func(a, b archive.Bucket) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.FirstAt, b.FirstAt))
	})
	last := events.Timestamp(0) // of the buckets before, in the same minute or hour
	for i := range all {
		b := &all[i]
		if i == 0 || all[i-1].Start != b.Start {
			last = b.LastAt
			continue
		}
		if all[i-1].FirstAt == 0 || b.FirstAt == 0 || b.FirstAt <= last {
			again = append(again, projections.WindowOf(b.Start))
		}
		last = max(last, b.LastAt)
	}
	return again
}

// areApart sorts pieces by time and reports whether each ends before the next one begins.
func areApart(pieces [][]archive.Bucket) bool {
	slices.SortFunc(pieces, func(a, b []archive.Bucket) int { return cmp.Compare(a[0].Start, b[0].Start) })
	for i := 1; i < len(pieces); i++ {
		if before := pieces[i-1]; before[len(before)-1].Start >= pieces[i][0].Start {
			return false
		}
	}
	return true
}

// dropWindows removes the sums of windows, which ascend.
func (all rolledSums) dropWindows(windows []projections.Window) {
	if len(windows) == 0 {
		return
	}
	for key, pieces := range all {
		for i, piece := range pieces {
			pieces[i] = slices.DeleteFunc(slices.Clone(piece), func(b archive.Bucket) bool {
				_, found := slices.BinarySearch(windows, projections.WindowOf(b.Start))
				return found
			})
		}
		all[key] = pieces
	}
}
