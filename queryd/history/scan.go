package history

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/projections"
)

const (
	readers  = 8  // hosts read side by side
	maxPairs = 64 // host windows in one group, so that memory stays bounded; a group is one window at least
)

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

// group reads windows of all hosts that have them and offers their entries.
func (s *entries) group(ctx context.Context, group []projections.Window) error {
	if len(group) == 0 {
		return nil
	}
	slices.Sort(group)
	parts, err := s.load(ctx, s.sel.hosts, group)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(readers)
	for _, p := range parts {
		work.Go(func() error {
			s.offer(p)
			return context.Cause(ctx)
		})
	}
	return work.Wait()
}

// offer makes entries of what there is of one host, from the wanted end.
func (s *entries) offer(p *part) {
	sets := p.series()
	if !s.pick.oldest {
		slices.Reverse(sets)
	}
	for i := range sets {
		open := s.pick.open()
		s.pick.offer(projections.Entries(p.host.ID, &sets[i], &p.host.Identity, projections.EntryFilter{
			From: open.from, To: open.to, GPUs: s.sel.gpus, Metrics: s.sel.metrics,
			Newest: !s.pick.oldest, Limit: s.pick.n, Behind: s.pick.after,
		}))
	}
}
