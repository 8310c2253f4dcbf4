package history

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// scan reads windows of what a query is about, wherever they are.
type scan struct {
	reader     reader
	cold       cold // nil: nothing was ever archived
	generation projections.Generation
	sel        *selection
	rollup     *rollup // nil: records only
}

// part is what there is of one host in some windows.
type part struct {
	host    *live.Host
	windows []projections.Window // asked for, in order
	hot     map[projections.Window]projections.HostWindow
	cold    []projections.HostWindow // records of any of the windows
	rolled  []rolled                 // instead of records
}

// series gives everything in as few sets as can be without copying: in order of time, no record in two, each
// set of windows of its own.
func (p *part) series() []projections.HostWindow {
	if len(p.cold) == 0 {
		all := make([]projections.HostWindow, 0, len(p.hot))
		for _, w := range p.windows {
			if s, ok := p.hot[w]; ok {
				all = append(all, s)
			}
		}
		return all
	}
	return []projections.HostWindow{projections.Merge(slices.Concat(slices.Collect(maps.Values(p.hot)), p.cold)...)}
}

// load reads windows, which are in order, of the hosts that have some of them.
func (s *scan) load(ctx context.Context, hosts []*live.Host, windows []projections.Window) ([]*part, error) {
	var parts []*part
	for _, host := range hosts {
		p := &part{host: host}
		for _, w := range windows {
			if host.Identity.Holds(w) {
				p.windows = append(p.windows, w)
			}
		}
		if len(p.windows) > 0 {
			parts = append(parts, p)
		}
	}
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(readers)
	for _, p := range parts {
		work.Go(func() error { return s.stored(workCtx, p) })
	}
	if err := work.Wait(); err != nil || s.cold == nil {
		return parts, err
	}
	work, workCtx = errgroup.WithContext(ctx)
	work.SetLimit(readers)
	partitions := make(map[events.Partition][]*part)
	for _, p := range parts {
		partitions[p.host.Partition] = append(partitions[p.host.Partition], p)
	}
	for _, some := range partitions {
		work.Go(func() error { return s.thaw(workCtx, some) })
	}
	return parts, work.Wait()
}

// stored reads what is in the stored series.
func (s *scan) stored(ctx context.Context, p *part) (err error) {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("reading history of %s: %w", p.host.ID, err)
	}
	if p.hot, err = s.reader.Series(ctx, s.generation, p.host.Partition, p.host.ID, p.windows, s.sel.wants); err != nil {
		return fmt.Errorf("reading history of %s: %w", p.host.ID, err)
	}
	return nil
}
