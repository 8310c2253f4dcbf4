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

// scan reads the windows of a query's hosts from the stored series and the archive.
type scan struct {
	reader     reader
	cold       archiveReader // nil: no archive is configured
	generation projections.Generation
	sel        *selection
	rollup     *rollup // nil: records only
}

// hostPart is the records of one host in some windows.
type hostPart struct {
	host    *live.Host
	names   []events.GPUID       // under which its records may have the selected GPUs, sorted; empty: all
	windows []projections.Window // requested, ascending
	hot     map[projections.Window]projections.HostWindow
	cold    []projections.HostWindow // records of any of the windows
	rolled  []rolledBucket           // replace records
}

// covers reports whether a record under a name may be selected. Records of the pipeline itself are no readings.
func (p *hostPart) covers(sel *selection, name events.Entity, metric string) bool {
	return !events.IsControl(metric) && (len(p.names) == 0 || containsSorted(p.names, name.GPU)) && sel.coversMetric(metric)
}

// windowSets returns all records, each under its GPU, in as few sets as possible: ascending in time, no record twice, no
// window in two sets.
func (p *hostPart) windowSets() []projections.HostWindow {
	all := p.storedSets()
	for i := range all {
		all[i] = p.host.Resolve(p.host.Names, &all[i])
	}
	return all
}

// storedSets is windowSets with each record under the name that it has.
func (p *hostPart) storedSets() []projections.HostWindow {
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

// loadWindows reads windows, in ascending order, of the hosts that have records in them.
func (s *scan) loadWindows(ctx context.Context, hosts []*live.Host, windows []projections.Window) ([]*hostPart, error) {
	var parts []*hostPart
	for _, host := range hosts {
		p := &hostPart{host: host, names: s.sel.namesOn(host)}
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
	work.SetLimit(maxReaders)
	for _, p := range parts {
		work.Go(func() error { return s.loadStored(workCtx, p) })
	}
	if err := work.Wait(); err != nil || s.cold == nil {
		return parts, err
	}
	work, workCtx = errgroup.WithContext(ctx)
	work.SetLimit(maxReaders)
	partitions := make(map[events.Partition][]*hostPart)
	for _, p := range parts {
		partitions[p.host.Partition] = append(partitions[p.host.Partition], p)
	}
	for _, some := range partitions {
		work.Go(func() error { return s.readArchived(workCtx, some) })
	}
	return parts, work.Wait()
}

// loadStored reads the windows from the stored series.
func (s *scan) loadStored(ctx context.Context, p *hostPart) (err error) {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("reading history of %s: %w", p.host.ID, err)
	}
	keep := func(name events.Entity, metric string) bool { return p.covers(s.sel, name, metric) }
	if p.hot, err = s.reader.Series(ctx, s.generation, p.host.Partition, p.host.ID, p.windows, keep); err != nil {
		return fmt.Errorf("reading history of %s: %w", p.host.ID, err)
	}
	return nil
}
