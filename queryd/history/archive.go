package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
)

// archiveReader reads the records that left the stored series for the archive (archive.Store, and Entries of the
// package that keeps the manifest; joined in query).
type archiveReader interface {
	// Entries returns the entries that may have records of a partition in a range of record times, both ends
	// included. They cover everything that had left the stored series when it was called. An answer from memory must
	// be no older than the call.
	Entries(ctx context.Context, p events.Partition, from, to events.Timestamp) ([]archive.Entry, error)
	Scan(ctx context.Context, e archive.Entry, f archive.Filter) iter.Seq2[archive.Series, error]
	Rollup(ctx context.Context, e archive.Entry, kind archive.Kind, f archive.Filter) iter.Seq2[archive.Rollup, error]
}

// archiveTries is how often a read is restarted because objects were merged away during it.
const archiveTries = 3

// readArchived adds to parts of one partition the archived records of their windows. The stored series must have been
// read before: then a record that moves to the archive meanwhile is found in at least one of them, and a record found
// in both counts once.
func (s *scan) readArchived(ctx context.Context, parts []*hostPart) error {
	var err error
	for range archiveTries {
		for _, p := range parts {
			p.cold, p.rolled = nil, nil
		}
		if err = s.readArchivedOnce(ctx, parts); !errors.Is(err, archive.ErrMissing) {
			break
		}
	}
	if err == nil {
		return nil
	}
	if _, damaged := errors.AsType[*archive.DamagedError](err); damaged || errors.Is(err, archive.ErrMissing) {
		err = fmt.Errorf("%w: %w", ErrArchive, err)
	}
	return fmt.Errorf("reading archived history of partition %d: %w", parts[0].host.Partition, err)
}

func (s *scan) readArchivedOnce(ctx context.Context, parts []*hostPart) error {
	whole := partsRange(parts)
	entries, err := s.cold.Entries(ctx, parts[0].host.Partition, whole.from, whole.to)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e archive.Entry) bool {
		return e.Records == 0 || e.To < whole.from || e.From > whole.to
	})
	if len(entries) == 0 {
		return nil
	}
	wanted := make(wantedByHost, len(parts))
	for _, p := range parts {
		wanted[p.host.ID] = &wantedWindows{part: p, windows: slices.Clone(p.windows)}
	}
	if s.rollup != nil {
		if err := s.rollup.readSums(ctx, s, entries, wanted); err != nil {
			return err
		}
	}
	for _, run := range wanted.windowRuns() {
		if err := s.readRecords(ctx, entries, wanted, run); err != nil {
			return err
		}
	}
	return nil
}

// partsRange returns the range of times of all windows of parts.
func partsRange(parts []*hostPart) timeRange {
	first, last := parts[0].windows[0], parts[0].windows[0]
	for _, p := range parts {
		first, last = min(first, p.windows[0]), max(last, p.windows[len(p.windows)-1])
	}
	return timeRange{from: windowStart(first), to: windowEnd(last)}
}

func windowStart(w projections.Window) events.Timestamp {
	return slotStart(int64(w), projections.WindowSpan)
}

func windowEnd(w projections.Window) events.Timestamp {
	return slotEnd(int64(w), projections.WindowSpan)
}

// wantedByHost selects the archived windows to read, by host.
type wantedByHost map[events.HostID]*wantedWindows

type wantedWindows struct {
	part    *hostPart
	windows []projections.Window // whose records are wanted; ascending
}

// windowRuns returns the runs of windows whose records any host wants.
func (all wantedByHost) windowRuns() []projections.WindowRange {
	var windows []projections.Window
	for _, w := range all {
		windows = append(windows, w.windows...)
	}
	slices.Sort(windows)
	var runs []projections.WindowRange
	for _, w := range windows {
		if n := len(runs); n > 0 && w <= runs[n-1].Last+1 {
			runs[n-1].Last = w
			continue
		}
		runs = append(runs, projections.WindowRange{First: w, Last: w})
	}
	return runs
}

// archiveFilter returns the archive filter for a run of windows of the hosts that want some of them.
func (s *scan) archiveFilter(all wantedByHost, run projections.WindowRange) archive.Filter {
	f := archive.Filter{Metrics: s.sel.metrics, From: windowStart(run.First)}
	if end := windowEnd(run.Last); end < maxTime {
		f.To = end + 1
	}
	for host, wanted := range all {
		if slices.ContainsFunc(wanted.windows, func(w projections.Window) bool { return run.First <= w && w <= run.Last }) {
			f.Hosts = append(f.Hosts, host)
			f.GPUs = append(f.GPUs, wanted.part.names...)
		}
	}
	slices.Sort(f.Hosts)
	f.GPUs = sortedSet(f.GPUs)
	return f
}

// readRecords reads the records of a run of windows.
func (s *scan) readRecords(ctx context.Context, entries []archive.Entry, all wantedByHost, run projections.WindowRange) error {
	f := s.archiveFilter(all, run)
	for _, e := range entries {
		if e.To < windowStart(run.First) || e.From > windowEnd(run.Last) {
			continue
		}
		found := make(map[events.HostID]*archivedRecords)
		for series, err := range s.cold.Scan(ctx, e, f) {
			if err != nil {
				return err
			}
			host := all[series.Host]
			if host == nil || !host.part.covers(s.sel, series.Identity.Entity(series.Host), series.Metric) {
				continue
			}
			if samples := cutToWindows(series.Samples, host.windows); samples.Len() > 0 {
				if found[series.Host] == nil {
					found[series.Host] = &archivedRecords{identities: make(map[events.IdentityID]*events.Identity)}
				}
				found[series.Host].addSeries(&series, samples)
			}
		}
		for host, records := range found {
			all[host].part.cold = append(all[host].part.cold, records.hostWindow())
		}
	}
	return nil
}

// archivedRecords collects records of one host.
type archivedRecords struct {
	columns    []projections.Column
	identities map[events.IdentityID]*events.Identity
}

func (r *archivedRecords) addSeries(series *archive.Series, samples events.Samples) {
	id := series.Identity.ID()
	if r.identities[id] == nil {
		identity := series.Identity
		r.identities[id] = &identity
	}
	r.columns = append(r.columns, projections.Column{
		Entity: series.Identity.Entity(series.Host), Metric: series.Metric, Source: series.Source, Identity: id, Samples: samples,
	})
}

// cutToWindows returns the readings in the windows, without implausible ones: those are in the archive as they are in
// the log, but in no view.
func cutToWindows(all events.Samples, windows []projections.Window) events.Samples {
	keep := func(at events.Timestamp) bool {
		_, found := slices.BinarySearch(windows, projections.WindowOf(at))
		return found
	}
	implausible := slices.ContainsFunc(all.Absent, func(a events.Absence) bool { return a.Reason == events.Implausible })
	whole := !implausible
	for i := 0; whole && i < len(all.Times); {
		w := projections.WindowOf(all.Times[i])
		whole = keep(all.Times[i])
		next, _ := slices.BinarySearch(all.Times[i:], windowEnd(w))
		for i += next; i < len(all.Times) && all.Times[i] <= windowEnd(w); i++ {
		}
	}
	if whole {
		return all
	}
	var out events.Samples
	for at, v := range all.All() {
		if v.Absent != events.Implausible && keep(at) {
			out.Add(at, v)
		}
	}
	out.Canonical()
	return out
}

// hostWindow returns the canonical union of the columns, several of which may have the same key.
func (r *archivedRecords) hostWindow() projections.HostWindow {
	slices.SortStableFunc(r.columns, compareColumns)
	out := r.columns[:0]
	for _, c := range r.columns {
		if n := len(out); n > 0 && compareColumns(out[n-1], c) == 0 {
			out[n-1].Samples, _ = events.Union(out[n-1].Samples, c.Samples)
			continue
		}
		out = append(out, c)
	}
	return projections.NewHostWindow(out, r.identities)
}

func compareColumns(a, b projections.Column) int {
	return cmp.Or(a.Entity.Compare(b.Entity), strings.Compare(a.Metric, b.Metric), strings.Compare(a.Source, b.Source), cmp.Compare(a.Identity, b.Identity))
}
