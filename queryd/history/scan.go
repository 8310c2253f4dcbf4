package history

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

const (
	readers  = 8  // hosts read side by side
	maxPairs = 64 // host windows in one group, so that memory stays bounded; a group is one window at least
)

// scan reads stored windows of what a query is about.
type scan struct {
	reader     reader
	generation projections.Generation
	sel        *selection
}

// entries reads entries until a pick is full.
type entries struct {
	scan
	pick *pick[projections.Entry]
}

// run walks the windows from the wanted end, a group at a time. A group is as large as the page's end seems
// to need, judged by how much the windows before gave: many for a GPU that reports once an hour, one for a
// fleet.
func (s *entries) run(ctx context.Context) error {
	var group []projections.Window
	size, seen := 1, 0
	for w := range windows(s.sel.hosts, s.pick.open(), s.pick.oldest) {
		if group = append(group, w); len(group) < size {
			continue
		}
		if err := s.group(ctx, group); err != nil {
			return err
		}
		kept, missing := s.pick.room()
		if missing == 0 {
			return nil
		}
		seen += len(group)
		group = group[:0]
		size = min(max(missing*seen/max(kept, 1), 1), max(maxPairs/len(s.sel.hosts), 1))
	}
	return s.group(ctx, group)
}

// group reads windows of all hosts that have them, side by side.
func (s *entries) group(ctx context.Context, group []projections.Window) error {
	if len(group) == 0 {
		return nil
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(readers)
	for _, host := range s.sel.hosts {
		theirs := make([]projections.Window, 0, len(group))
		for _, w := range group {
			if host.Identity.Holds(w) {
				theirs = append(theirs, w)
			}
		}
		if len(theirs) > 0 {
			work.Go(func() error { return s.host(ctx, host, theirs) })
		}
	}
	return work.Wait()
}

// host reads windows of one host and offers their entries, from the wanted end.
func (s *entries) host(ctx context.Context, host *live.Host, theirs []projections.Window) error {
	slices.Sort(theirs)
	series, err := s.read(ctx, host, theirs)
	if err != nil {
		return err
	}
	if !s.pick.oldest {
		slices.Reverse(theirs)
	}
	f := projections.EntryFilter{GPUs: s.sel.gpus, Metrics: s.sel.metrics}
	for _, w := range theirs {
		if window, ok := series[w]; ok {
			s.pick.offer(projections.Entries(host.ID, &window, &host.Identity, narrowed(f, s.pick)))
		}
	}
	return nil
}

// narrowed is f for what could still come into a pick.
func narrowed(f projections.EntryFilter, p *pick[projections.Entry]) projections.EntryFilter {
	open := p.open()
	f.From, f.To = open.from, open.to
	f.Newest, f.Limit, f.Behind = !p.oldest, p.n, p.after
	return f
}

// read reads windows of one host, which are in order.
func (s *scan) read(ctx context.Context, host *live.Host, theirs []projections.Window) (map[projections.Window]projections.Series, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("reading history of %s: %w", host.ID, err)
	}
	series, err := s.reader.Series(ctx, s.generation, host.Partition, host.ID, theirs)
	if err != nil {
		return nil, fmt.Errorf("reading history of %s: %w", host.ID, err)
	}
	return series, nil
}
