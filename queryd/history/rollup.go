package history

import (
	"context"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
)

// rollup reads the archive's sums instead of its records, where they say the same.
type rollup struct {
	step  time.Duration
	span  span // of record times that count
	added bool // an aggregate is asked for that counts a record again when it is in two entries
}

// rolled is a sum of a minute or hour of one metric of one entity.
type rolled struct {
	entity events.Entity
	metric string
	archive.Bucket
}

// newRollup tells what of the archive's sums a query can be answered from in a range of times; nil: nothing.
func newRollup(q Query, s span) *rollup {
	if q.Step%time.Minute != 0 || slices.Contains(q.Aggregates, P95) {
		return nil
	}
	r := &rollup{step: q.Step, span: s, added: len(q.Aggregates) == 0}
	for _, a := range q.Aggregates {
		r.added = r.added || a == Avg || a == Count
	}
	return r
}

// read takes out of what is wanted the windows that sums answer, and gives the sums to the parts. No minute or
// hour of such a window is cut by the range of times, nothing of it is in the stored series, and every entry
// that may have records of it has sums. Where two entries have a sum of the same minute or hour they may share records:
// that matters only to what is added up, and then the records are read.
func (r *rollup) read(ctx context.Context, s *scan, entries []archive.Entry, all wanted) error {
	sums := make(wanted, len(all))
	for host, w := range all {
		take := &want{part: w.part}
		w.windows = slices.DeleteFunc(w.windows, func(window projections.Window) bool {
			if _, hot := w.part.hot[window]; hot || r.kind(entries, window) == "" {
				return false
			}
			take.windows = append(take.windows, window)
			return true
		})
		if len(take.windows) > 0 {
			sums[host] = take
		}
	}
	for _, run := range sums.runs() {
		if err := r.run(ctx, s, entries, sums, run); err != nil {
			return err
		}
	}
	for host, w := range sums {
		all[host].windows = append(all[host].windows, w.part.settle(r.added)...)
		slices.Sort(all[host].windows)
	}
	return nil
}

// sizes are what the archive's sums are of, the greater ones first.
var sizes = []struct { // never written
	kind archive.Kind
	of   time.Duration
}{{archive.Hours, time.Hour}, {archive.Minutes, time.Minute}}

// kind tells which sums say the same as the records of a window, "" when none do.
func (r *rollup) kind(entries []archive.Entry, w projections.Window) archive.Kind {
	from, to := max(windowStart(w), r.span.from), min(windowEnd(w), r.span.to)
	for _, size := range sizes {
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

// run reads the sums of a run of windows.
func (r *rollup) run(ctx context.Context, s *scan, entries []archive.Entry, sums wanted, run projections.Span) error {
	f := s.filter(sums, run)
	for _, size := range sizes {
		kind := size.kind
		for _, e := range entries {
			if _, has := e.Object(kind); !has || e.To < windowStart(run.First) || e.From > windowEnd(run.Last) {
				continue
			}
			for found, err := range s.cold.Rollup(ctx, e, kind, f) {
				if err != nil {
					return err
				}
				if w := sums[found.Host]; w != nil && s.sel.wants(found.Entity, found.Metric) {
					r.take(w, entries, kind, &found)
				}
			}
		}
	}
	return nil
}

// take gives a part the sums of its windows, if they are of the kind that is read for them.
func (r *rollup) take(w *want, entries []archive.Entry, kind archive.Kind, found *archive.Rollup) {
	for _, b := range found.Buckets {
		window := projections.WindowOf(b.Start)
		if _, wanted := slices.BinarySearch(w.windows, window); wanted && r.span.holds(b.Start) && r.kind(entries, window) == kind {
			w.part.rolled = append(w.part.rolled, rolled{found.Entity, found.Metric, b})
		}
	}
}

// settle drops the sums of windows that have to be added up from records, and gives those windows.
func (p *part) settle(added bool) []projections.Window {
	if !added {
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
	p.rolled = slices.DeleteFunc(p.rolled, func(r rolled) bool {
		_, found := slices.BinarySearch(again, projections.WindowOf(r.Start))
		return found
	})
	return again
}
