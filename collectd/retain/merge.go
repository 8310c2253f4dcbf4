package retain

import (
	"context"
	"time"

	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
)

// These sizes guide merges. An entry of fullRecords is merged no more; a merge takes at most mergedRecords, for its
// memory; and many small entries are merged before there are enough for a full one, since each costs a reader a
// request.
const (
	fullRecords   = 700_000
	mergedRecords = 1_200_000
	worthMerging  = 40_000
)

// mergeDue merges consecutive entries, if some are due, and reports whether it did.
func (t *partitionKeeper) mergeDue(ctx context.Context) (merged bool, err error) {
	from, to := planMerge(t.part.Entries, time.Now(), t.isQuiet(), t.cfg.MergeEntries)
	if from == to {
		return false, nil
	}
	done, err := t.takeTurn(ctx, t.unmergedEntries() >= 4*t.cfg.MergeEntries, 0)
	if done == nil || err != nil {
		return false, err
	}
	began := time.Now()
	defer func() { done(time.Since(began)) }()
	return true, t.mergeEntries(ctx, from, to)
}

func (t *partitionKeeper) mergeEntries(ctx context.Context, from, to int) error {
	began := time.Now()
	old := make([]archive.Entry, 0, to-from)
	for _, e := range t.part.Entries[from:to] {
		old = append(old, e.Entry)
	}
	e, err := t.store.Merge(ctx, old)
	if err != nil {
		return err
	}
	if err := t.manifest.Replace(ctx, &t.part, from, to, e, t.Guard()); err != nil {
		return err
	}
	t.metrics.countMerged(old, &e, time.Since(began))
	t.metrics.setGauges(&t.part)
	t.lg.Debug("merged archive entries", "entries", len(old), "records", e.Records, "bytes", e.Bytes(), "took", time.Since(began))
	return nil
}

// unmergedEntries returns the number of entries that were never merged.
func (t *partitionKeeper) unmergedEntries() (n int) {
	for i := range t.part.Entries {
		if unmergedRecords(&t.part.Entries[i].Entry) > 0 {
			n++
		}
	}
	return n
}

// planMerge returns the first entries that are due to be merged: from..to-1, or none. They are consecutive entries of
// one log, none of them full, and either
//
// - enough for a full one, or as much of it as fits between entries that are full,
// - or all of a day that is over (hours become days), by the time of the append,
// - or many, unless the first one is more than twice as large as all others: so a record is merged a few times only,
// - or, when no more come for now, worth it: at least a third of their records were never merged.
//
// One that stays alone between full ones, or is full as it was written, is merged by itself, for its rollups.
func planMerge(entries []manifest.Listed, now time.Time, quiet bool, many int) (from, to int) {
	today := dayOf(now)
	for from = range entries {
		r := newMergeRun(&entries[from].Entry)
		for to = from + 1; to < len(entries) && r.fits(&entries[to].Entry); to++ {
			r.addEntry(&entries[to].Entry)
		}
		switch {
		case r.isDue(to < len(entries), many), quiet && r.isWorthMerging():
			return from, to
		case r.days > 1 && r.day < today:
			return from, from + r.days
		}
	}
	return 0, 0
}

// mergeRun is a run of entries that could become one.
type mergeRun struct {
	last     *archive.Entry
	n        int
	records  int64
	first    int64 // records of the first entry
	unmerged int64 // records of entries without rollups of the present form
	days     int   // number of entries of the first one's day
	day      int64 // that day
}

func newMergeRun(e *archive.Entry) *mergeRun {
	return &mergeRun{last: e, n: 1, records: e.Records, first: e.Records, unmerged: unmergedRecords(e), days: 1, day: dayOf(e.AppendedTo.Time())}
}

// unmergedRecords returns the number of records of an entry without rollups of the present form, else 0.
func unmergedRecords(e *archive.Entry) int64 {
	if e.HasRollups() {
		return 0
	}
	return e.Records
}

func (r *mergeRun) isFull() bool { return r.records >= fullRecords }

// fits reports whether the next entry can be merged with the run.
func (r *mergeRun) fits(e *archive.Entry) bool {
	return !r.isFull() && e.Records < fullRecords && r.n < manifest.MaxReplaced && r.records+e.Records <= mergedRecords && e.First.SameLog(r.last.Last)
}

func (r *mergeRun) addEntry(e *archive.Entry) {
	if r.days == r.n && (e.Events == 0 || dayOf(e.AppendedTo.Time()) == r.day) {
		r.days++
	}
	r.last, r.records, r.unmerged, r.n = e, r.records+e.Records, r.unmerged+unmergedRecords(e), r.n+1
}

// isDue reports whether the run is to be merged. followed means that the next entry can never be part of it.
func (r *mergeRun) isDue(followed bool, many int) bool {
	if r.n == 1 {
		return r.unmerged > 0 && (r.isFull() || followed)
	}
	return r.isFull() || followed || r.n >= many && r.first <= 2*(r.records-r.first)
}

func (r *mergeRun) isWorthMerging() bool {
	return r.unmerged >= worthMerging && r.unmerged >= r.records/3
}

// dayOf returns the day in UTC. An entry without events has a day that is over.
func dayOf(t time.Time) int64 { return t.Unix() / int64(24*time.Hour/time.Second) }

// removeReplaced removes replaced objects after KeepReplaced.
func (t *partitionKeeper) removeReplaced(ctx context.Context) error {
	for _, r := range t.part.Replaced {
		if time.Since(r.At) < t.cfg.KeepReplaced {
			continue
		}
		for _, name := range r.Objects {
			if listsObject(&t.part, name) {
				continue
			}
			if err := t.store.Remove(ctx, name); err != nil {
				return err
			}
		}
		if err := t.manifest.DeleteReplaced(ctx, &t.part, r, t.Guard()); err != nil {
			return err
		}
		t.metrics.objectsRemoved.Add(float64(len(r.Objects)))
	}
	return nil
}

func listsObject(p *manifest.Partition, name string) bool {
	for i := range p.Entries {
		for _, o := range p.Entries[i].Objects {
			if o.Name == name {
				return true
			}
		}
	}
	return false
}
