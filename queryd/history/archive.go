package history

import (
	"cmp"
	"context"
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
	// Entries returns, by partition, the entries that may have records in a range of record times, both ends included. They
	// cover everything that had left the stored series when it was called. An answer from memory must hold all that was
	// archived before the call; afresh means that an object of the last answer is missing.
	Entries(ctx context.Context, of []events.Partition, from, to events.Timestamp, afresh bool) (map[events.Partition][]archive.Entry, error)
	Scan(ctx context.Context, e archive.Entry, f archive.Filter) iter.Seq2[archive.Series, error]
	Rollup(ctx context.Context, e archive.Entry, kind archive.Kind, f archive.Filter) iter.Seq2[archive.Rollup, error]
}

// entriesOf returns the entries of a host that may have records in a range of times, both ends included.
func (src *source) entriesOf(p *hostPart, from, to events.Timestamp) (some []archive.Entry) {
	for _, e := range src.entries[p.host.Partition] {
		if e.Records > 0 && e.To >= from && e.From <= to {
			some = append(some, e)
		}
	}
	return some
}

// isHot reports whether all records of a window are in etcd.
func (src *source) isHot(p *hostPart, w projections.Window) bool {
	from, known := src.chunks.HotFrom[p.host.Partition]
	return known && w >= from
}

// coldWindows returns the windows of a part that may have records in the archive alone.
func (src *source) coldWindows(p *hostPart) []projections.Window {
	n := len(p.windows)
	for n > 0 && src.isHot(p, p.windows[n-1]) {
		n--
	}
	return p.windows[:n]
}

// readRecords adds to a part the archived records of its windows.
func (src *source) readRecords(ctx context.Context, p *hostPart) error {
	for _, run := range windowRuns(src.coldWindows(p)) {
		from, to := windowStart(run.First), windowEnd(run.Last)
		for _, e := range src.entriesOf(p, from, to) {
			found := archivedRecords{identities: make(map[events.IdentityID]*events.Identity)}
			for series, err := range src.cold.Scan(ctx, e, src.archiveFilter(p, from, to)) {
				if err != nil {
					return err
				}
				if !p.covers(src.sel, series.Identity.Entity(series.Host), series.Metric) {
					continue
				}
				if samples := withoutImplausible(series.Samples); samples.Len() > 0 {
					found.addSeries(&series, samples)
				}
			}
			if len(found.columns) > 0 {
				p.cold = append(p.cold, src.visibleRecords(found.hostWindow()))
			}
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

// withoutImplausible returns the readings that views show: implausible ones are in the archive as they are in the log, but in no
// view.
func withoutImplausible(all events.Samples) events.Samples {
	if !slices.ContainsFunc(all.Absent, func(a events.Absence) bool { return a.Reason == events.Implausible }) {
		return all
	}
	var out events.Samples
	for at, v := range all.All() {
		if v.Absent != events.Implausible {
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
