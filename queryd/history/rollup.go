package history

import (
	"context"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
)

// rollup reads the archive's sums in place of its records, where both have the same result.
type rollup struct {
	step     time.Duration
	times    timeRange // of record times that count
	additive bool      // an aggregate is requested that counts a record twice if it is in two entries
}

// rolledBucket is the archive's sum of one metric of one entity in one minute or hour.
type rolledBucket struct {
	entity events.Entity
	metric string
	archive.Bucket
}

// newRollup returns the rollup that can answer a query in a range of times; nil if records are required.
func newRollup(q Query, s timeRange) *rollup {
	if q.Step%time.Minute != 0 || slices.Contains(q.Aggregates, P95) {
		return nil
	}
	r := &rollup{step: q.Step, times: s, additive: len(q.Aggregates) == 0}
	for _, a := range q.Aggregates {
		r.additive = r.additive || a == Avg || a == Count
	}
	return r
}

// readSums removes from all the windows that sums can answer, and adds the sums to the parts. For such a window, no
// minute or hour is cut by the range of times, the stored series has nothing, every entry that may have records
// has sums, and no name goes over from one GPU to another. Two entries with a sum of the same minute or hour may share
// records, and so may two names of one GPU: if an additive aggregate is requested, the records of that window are read
// after all.
func (r *rollup) readSums(ctx context.Context, s *scan, entries []archive.Entry, all wantedByHost) error {
	sums := make(wantedByHost, len(all))
	for host, w := range all {
		answered := &wantedWindows{part: w.part}
		w.windows = slices.DeleteFunc(w.windows, func(window projections.Window) bool {
			if _, hot := w.part.hot[window]; hot || r.kindFor(entries, window) == "" || !w.part.keepsNames(window) {
				return false
			}
			answered.windows = append(answered.windows, window)
			return true
		})
		if len(answered.windows) > 0 {
			sums[host] = answered
		}
	}
	for _, run := range sums.windowRuns() {
		if err := r.readRun(ctx, s, entries, sums, run); err != nil {
			return err
		}
	}
	for host, w := range sums {
		all[host].windows = append(all[host].windows, w.part.dropRepeated(r.additive)...)
		slices.Sort(all[host].windows)
	}
	return nil
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
		kind := size.kind
		whole := r.step%size.of == 0 && from == slotStart(slotOf(from, size.of), size.of) && to == slotEnd(slotOf(to, size.of), size.of)
		if whole && !slices.ContainsFunc(entries, func(e archive.Entry) bool {
			_, has := e.Object(kind)
			return !has && e.To >= windowStart(w) && e.From <= windowEnd(w)
		}) {
			return kind
		}
	}
	return ""
}

// readRun reads the sums of a run of windows.
func (r *rollup) readRun(ctx context.Context, s *scan, entries []archive.Entry, sums wantedByHost, run projections.WindowRange) error {
	f := s.archiveFilter(sums, run)
	for _, size := range rollupSizes {
		kind := size.kind
		for _, e := range entries {
			if _, has := e.Object(kind); !has || e.To < windowStart(run.First) || e.From > windowEnd(run.Last) {
				continue
			}
			for found, err := range s.cold.Rollup(ctx, e, kind, f) {
				if err != nil {
					return err
				}
				if w := sums[found.Host]; w != nil && w.part.covers(s.sel, found.Entity, found.Metric) {
					r.addSums(w, entries, kind, &found)
				}
			}
		}
	}
	return nil
}

// addSums adds sums to the part of their host if their window is read from sums of this kind.
func (r *rollup) addSums(w *wantedWindows, entries []archive.Entry, kind archive.Kind, found *archive.Rollup) {
	for _, b := range found.Buckets {
		window := projections.WindowOf(b.Start)
		if _, wanted := slices.BinarySearch(w.windows, window); wanted && r.times.contains(b.Start) && r.kindFor(entries, window) == kind {
			entity := found.Entity
			entity.GPU = w.part.host.Names.Resolve(entity.GPU, b.Start)
			w.part.rolled = append(w.part.rolled, rolledBucket{entity, found.Metric, b})
		}
	}
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

// dropRepeated removes the sums of windows with a minute or hour in two entries or under two names, and returns these windows, if the
// sums are additive. Their records must be read instead.
func (p *hostPart) dropRepeated(additive bool) []projections.Window {
	if !additive {
		return nil
	}
	type key struct {
		entity events.Entity
		metric string
		at     events.Timestamp
	}
	seen := make(map[key]bool, len(p.rolled))
	var again []projections.Window
	for _, r := range p.rolled {
		k := key{r.entity, r.metric, r.Start}
		if seen[k] {
			again = append(again, projections.WindowOf(r.Start))
		}
		seen[k] = true
	}
	if len(again) == 0 {
		return nil
	}
	slices.Sort(again)
	again = slices.Compact(again)
	p.rolled = slices.DeleteFunc(p.rolled, func(r rolledBucket) bool {
		_, found := slices.BinarySearch(again, projections.WindowOf(r.Start))
		return found
	})
	return again
}
