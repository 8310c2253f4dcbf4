package archive

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"

	"telemetry-pipeline/events"
)

// Series holds readings of one metric of one identity under one source name, in canonical form.
type Series struct {
	Host     events.HostID
	Identity events.Identity
	Metric   string
	Source   string
	events.Samples
}

// Scan returns the records of an entry that match a filter, by host, GPU, part and metric, then by source and identity. A
// long series may come in several parts, one after the other and in order of time. Returned series share no memory with
// later ones.
//
// Only pages that can hold matching records are decoded. An object of up to 4 MiB is read whole and checked against its
// hash; of a larger one only those pages are read, unchecked. Besides, Scan takes the memory of some hundred thousand records.
func (s *Store) Scan(ctx context.Context, e Entry, f Filter) iter.Seq2[Series, error] {
	return func(yield func(Series, error) bool) {
		o, found := e.Object(Records)
		if !found || f.excludesTimes(e.From, e.To) {
			return
		}
		p := f.forColumns(colHost, colGPU, colMetric)
		if err := s.scanObject(ctx, o, &p, func(part Series) bool { return yield(part, nil) }); err != nil {
			yield(Series{}, fmt.Errorf("scanning archived records of partition %d: %w", e.Partition, err))
		}
	}
}

func (s *Store) scanObject(ctx context.Context, o Object, p *columnFilter, yield func(Series) bool) error {
	groups, err := s.openObject(ctx, o, recordColumns)
	if err != nil {
		return err
	}
	t := newTableReader()
	for _, g := range groups {
		var spans []rowRange
		if err := recoverToDamage(o, func() (err error) {
			spans, err = p.matchingSpans(g, t.texts)
			return err
		}); err != nil {
			return err
		}
		for _, rows := range joinSpans(spans) {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			t.reset()
			if err := recoverToDamage(o, func() error { return t.readRows(g, rows.lo, rows.hi) }); err != nil {
				return err
			}
			if !t.yieldSeries(p, yield) {
				return nil
			}
		}
	}
	return nil
}

// yieldSeries yields the table's matching rows by series, and reports whether to continue.
func (t *table) yieldSeries(p *columnFilter, yield func(Series) bool) bool {
	for group := range groupNeighbours(t.runs, func(a, b run) bool { return t.sameGroup(a.series, b.series) }) {
		if s := &t.series[group[0].series]; !p.matchesSeries(s.host, s.identity.Entity(s.host).GPU, s.metric) {
			continue
		}
		var parts []piece
		for _, r := range group {
			if r, some := t.clampRun(r, p); some {
				parts = append(parts, piece{0, r.series, r.lo, r.hi})
			}
		}
		slices.SortStableFunc(parts, func(a, b piece) int { return t.compareInGroup(a.series, b.series) })
		for one := range groupNeighbours(parts, func(a, b piece) bool { return a.series == b.series }) {
			if !yield(t.joinSamples(one)) {
				return false
			}
		}
	}
	return true
}

// sameGroup reports whether two series differ in source and identity alone.
func (t *table) sameGroup(i, j int32) bool {
	a, b := &t.series[i], &t.series[j]
	return i == j || a.host == b.host && a.metric == b.metric && a.identity.Entity(a.host) == b.identity.Entity(b.host)
}

// compareInGroup compares two series of a group in the order of an object.
func (t *table) compareInGroup(i, j int32) int {
	return t.series[i].compareInGroup(&t.series[j])
}

// matchesSeries reports whether the filter selects a metric of a GPU.
func (p *columnFilter) matchesSeries(host events.HostID, gpu events.GPUID, metric string) bool {
	return (len(p.Hosts) == 0 || slices.Contains(p.Hosts, host)) &&
		(len(p.Metrics) == 0 || slices.Contains(p.Metrics, metric)) &&
		(len(p.GPUs) == 0 || slices.Contains(p.GPUs, gpu))
}

// clampRun narrows a run, whose times ascend, to the filter's times, and reports whether any rows are left.
func (t *table) clampRun(r run, p *columnFilter) (run, bool) {
	times := t.times[r.lo:r.hi]
	if p.To != 0 {
		r.hi = r.lo + int32(sort.Search(len(times), func(i int) bool { return times[i] >= p.To }))
	}
	if p.From != 0 {
		r.lo += int32(sort.Search(len(times), func(i int) bool { return times[i] >= p.From }))
	}
	return r, r.lo < r.hi
}

// joinSamples returns the series that consists of parts.
func (t *table) joinSamples(parts []piece) Series {
	s := &t.series[parts[0].series]
	out := Series{Host: s.host, Identity: *s.identity, Metric: s.metric, Source: s.source}
	for _, p := range parts {
		out.Times = append(out.Times, t.times[p.lo:p.hi]...)
		out.Mantissas = append(out.Mantissas, t.mantissas[p.lo:p.hi]...)
	}
	t.fillSamples(&out.Samples, parts)
	return out
}
