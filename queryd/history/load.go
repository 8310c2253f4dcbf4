package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// scan reads the windows of a query's hosts from the stored series and the archive.
type scan struct {
	reader reader
	cold   archiveReader // nil: no archive is configured
	state  *live.State
	sel    *selection
	label  string // by which series are grouped; "" for none
	plan   *Plan

	mostPoints int // in memory, of the hosts that are read together by series
}

// maxTries is how often a read is restarted because chunks were moved or objects merged away during it.
const maxTries = 3

// source knows where the records of hosts in a range of windows are.
type source struct {
	*scan
	first, last projections.Window
	chunks      projections.ChunkList
	entries     map[events.Partition][]archive.Entry
}

// locate finds the records of hosts in windows. The stored series are listed before the archive: then a record that moves to the
// archive meanwhile is found in at least one of them, and a record found in both counts once. afresh means that an object
// of the last answer is missing.
func (s *scan) locate(ctx context.Context, hosts []*live.Host, first, last projections.Window, afresh bool) (*source, error) {
	src := &source{scan: s, first: first, last: last}
	of := make([]projections.HostWindows, len(hosts))
	partitions := make(map[events.Partition]bool)
	for i, host := range hosts {
		of[i] = projections.HostWindows{Host: host.ID, Partition: host.Partition, First: first, Last: last}
		if runs := host.Identity.Windows; len(runs) > 0 { // none of the others can be there
			of[i].First, of[i].Last = max(first, runs[0].First), min(last, runs[len(runs)-1].Last)
		}
		partitions[host.Partition] = true
	}
	var err error
	if src.chunks, err = s.reader.List(ctx, s.state.Generation(), projections.ChunkQuery{Of: of, HotFrom: s.state.HotFrom, Most: s.wantsMost(hosts)}); err != nil {
		return nil, fmt.Errorf("reading history of %d hosts: %w", len(hosts), err)
	}
	if s.cold == nil {
		return src, nil
	}
	src.entries, err = s.cold.Entries(ctx, slices.Collect(maps.Keys(partitions)), windowStart(first), windowEnd(last), afresh)
	if err != nil {
		return nil, fmt.Errorf("reading archived history of %d hosts: %w", len(hosts), err)
	}
	return src, nil
}

// wantsMost reports whether hosts are at least a quarter of the hosts with readings.
func (s *scan) wantsMost(hosts []*live.Host) bool {
	return 4*len(hosts) >= s.state.OnHosts().CountHosts()
}

// retry calls load with src until no chunk or object was moved away during it, and locates the records of the host afresh before each
// further call.
func (src *source) retry(ctx context.Context, host *live.Host, load func(*source) error) (err error) {
	for try := range maxTries {
		if try > 0 {
			if src, err = src.locate(ctx, []*live.Host{host}, src.first, src.last, true); err != nil {
				return err
			}
		}
		if err = load(src); err == nil || !errors.Is(err, ErrMoved) && !errors.Is(err, archive.ErrMissing) {
			break
		}
	}
	if err == nil {
		return nil
	}
	if _, damaged := errors.AsType[*archive.DamagedError](err); damaged || errors.Is(err, archive.ErrMissing) {
		err = fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return fmt.Errorf("reading history of %s: %w", host.ID, err)
}

// hostPart is the records of one host in some windows.
type hostPart struct {
	host    *live.Host
	names   []events.GPUID       // under which its records may have the selected GPUs, sorted; empty: all
	windows []projections.Window // requested, ascending
	hot     []projections.HostWindow
	cold    []projections.HostWindow // records of any of the windows
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
	switch {
	case len(p.cold) == 0:
		return slices.Clone(p.hot)
	case len(p.cold) == 1 && len(p.hot) == 0:
		return slices.Clone(p.cold)
	}
	return []projections.HostWindow{projections.Merge(slices.Concat(p.hot, p.cold)...)}
}

// loadWindows reads windows, in ascending order, of the hosts that have records in them.
func (s *scan) loadWindows(ctx context.Context, hosts []*live.Host, windows []projections.Window) ([]*hostPart, error) {
	var parts []*hostPart
	var having []*live.Host
	for _, host := range hosts {
		if p := newHostPart(s.sel, host, windows); len(p.windows) > 0 {
			parts, having = append(parts, p), append(having, host)
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	src, err := s.locate(ctx, having, windows[0], windows[len(windows)-1], false)
	if err != nil {
		return nil, err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(maxReaders)
	for _, p := range parts {
		work.Go(func() error {
			return src.retry(ctx, p.host, func(src *source) error { return src.loadPart(ctx, p) })
		})
	}
	return parts, work.Wait()
}

// newHostPart returns the part of a host with those windows in which it has records.
func newHostPart(sel *selection, host *live.Host, windows []projections.Window) *hostPart {
	p := &hostPart{host: host, names: sel.namesOn(host)}
	for _, w := range windows {
		if host.Identity.Holds(w) {
			p.windows = append(p.windows, w)
		}
	}
	return p
}

// inWindows returns the part in some of its windows, without records.
func (p *hostPart) inWindows(some []projections.Window) *hostPart {
	return &hostPart{host: p.host, names: p.names, windows: some}
}

// loadPart reads the records of a part's windows.
func (src *source) loadPart(ctx context.Context, p *hostPart) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	p.hot, p.cold = nil, nil
	chunks := chunksIn(src.chunks.Chunks[p.host.ID], p.windows)
	src.plan.addWindows(len(p.windows), chunks)
	if len(chunks) > 0 {
		keep := func(name events.Entity, metric string) bool { return p.covers(src.sel, name, metric) }
		list, err := src.reader.Read(ctx, chunks, keep)
		if err != nil {
			return err
		}
		for _, w := range list {
			p.hot = append(p.hot, src.visibleRecords(w.Series))
		}
	}
	return src.readRecords(ctx, p)
}

// visibleRecords returns the records whose own identities name a namespace of the view's scope.
func (s *scan) visibleRecords(w projections.HostWindow) projections.HostWindow {
	if scope := s.state.Scope(); scope.ByNamespace() {
		return w.InNamespaces(scope.HasNamespace)
	}
	return w
}

// chunksIn returns the chunks of windows, both ascending.
func chunksIn(all []projections.WindowChunks, windows []projections.Window) (chunks []projections.WindowChunks) {
	for _, c := range all {
		if _, wanted := slices.BinarySearch(windows, c.Window); wanted {
			chunks = append(chunks, c)
		}
	}
	return chunks
}

// windowRuns returns the runs of adjacent windows, which ascend.
func windowRuns(windows []projections.Window) (runs []projections.WindowRange) {
	for _, w := range windows {
		if n := len(runs); n > 0 && w <= runs[n-1].Last+1 {
			runs[n-1].Last = w
			continue
		}
		runs = append(runs, projections.WindowRange{First: w, Last: w})
	}
	return runs
}

func windowStart(w projections.Window) events.Timestamp {
	return slotStart(int64(w), projections.WindowSpan)
}

func windowEnd(w projections.Window) events.Timestamp {
	return slotEnd(int64(w), projections.WindowSpan)
}

// archiveFilter returns the filter of the archive for a part's records in a range of times.
func (s *scan) archiveFilter(p *hostPart, from, to events.Timestamp) archive.Filter {
	f := archive.Filter{
		Hosts: []events.HostID{p.host.ID}, GPUs: p.names, Metrics: s.sel.metrics, From: from, Cost: &s.plan.Archive,
	}
	if to < math.MaxInt64 {
		f.To = to + 1
	}
	return f
}
