package history

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/projections"
)

const (
	maxReaders = 8  // hosts read concurrently
	maxPairs   = 64 // host windows in one group, to bound memory; a group has at least one window
)

// entryScan reads entries until the page is full.
type entryScan struct {
	scan
	top *topN[projections.Entry]
}

// readEntries walks the windows from the wanted end, a group at a time. The size of a group is estimated from the
// yield of the windows before: many windows for a GPU that reports once an hour, one for a fleet.
func (s *entryScan) readEntries(ctx context.Context) error {
	var group []projections.Window
	size, seen := 1, 0
	for w := range windowsIn(s.sel.hosts, s.top.openRange(), s.top.oldest) {
		if group = append(group, w); len(group) < size {
			continue
		}
		if err := s.readGroup(ctx, group); err != nil {
			return err
		}
		kept, missing := s.top.roomLeft()
		if missing == 0 {
			return nil
		}
		seen += len(group)
		group = group[:0]
		size = min(max(missing*seen/max(kept, 1), 1), max(maxPairs/len(s.sel.hosts), 1))
	}
	return s.readGroup(ctx, group)
}

// readGroup reads windows of all hosts that have them and adds their entries.
func (s *entryScan) readGroup(ctx context.Context, group []projections.Window) error {
	if len(group) == 0 {
		return nil
	}
	slices.Sort(group)
	parts, err := s.loadWindows(ctx, s.sel.hosts, group)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(maxReaders)
	for _, p := range parts {
		work.Go(func() error {
			s.addEntries(p)
			return context.Cause(ctx)
		})
	}
	return work.Wait()
}

// addEntries joins the records of one host into entries, from the wanted end.
func (s *entryScan) addEntries(p *hostPart) {
	sets := p.windowSets()
	if !s.top.oldest {
		slices.Reverse(sets)
	}
	for i := range sets {
		open := s.top.openRange()
		s.top.addItems(projections.Entries(p.host.ID, &sets[i], projections.EntryFilter{
			From: open.from, To: open.to, GPUs: s.sel.gpus, Metrics: s.sel.metrics,
			Newest: !s.top.oldest, Limit: s.top.n, Behind: s.top.after,
		}))
	}
}
