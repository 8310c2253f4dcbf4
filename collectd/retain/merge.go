package retain

import (
	"context"
	"time"

	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
)

// The sizes that merges aim at. An entry of fullRecords is merged no more; a merge takes at most mergedRecords, for its
// memory; and many small entries are merged before there are enough for a full one, since each costs a reader a request.
const (
	fullRecords   = 700_000
	mergedRecords = 1_200_000
	worthMerging  = 40_000
)

// merge joins entries that follow each other, if some are due, and tells whether it did.
func (t *tenure) merge(ctx context.Context) (merged bool, err error) {
	from, to := planMerge(t.part.Entries, time.Now(), t.quiet(), t.cfg.MergeEntries)
	if from == to {
		return false, nil
	}
	return true, t.mergeSome(ctx, from, to)
}

func (t *tenure) mergeSome(ctx context.Context, from, to int) error {
	done, err := t.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
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
	t.metrics.merged(old, &e, time.Since(began))
	t.metrics.show(&t.part)
	t.lg.Debug("merged archive entries", "entries", len(old), "records", e.Records, "bytes", e.Bytes(), "took", time.Since(began))
	return nil
}

// planMerge gives the first entries that are due to be merged: from..to-1, or none. Those are entries of one log that
// follow each other, none of them full, and either
//
//   - enough for a full one, or as much of it as fits between entries that are full,
//   - or all of a day that is over (hours become days), by the time of the append,
//   - or many, unless the first one is more than twice as large as all others: so a record is merged a few times only,
//   - or, when no more come for now, worth it: at least a third of their records were never merged.
//
// One that stays alone between full ones, or is full as it was written, is merged by itself, for its rollups.
func planMerge(entries []manifest.Listed, now time.Time, quiet bool, many int) (from, to int) {
	today := dayOf(now)
	for from = range entries {
		r := newRun(&entries[from].Entry)
		for to = from + 1; to < len(entries) && r.takes(&entries[to].Entry); to++ {
			r.add(&entries[to].Entry)
		}
		switch {
		case r.due(to < len(entries), many), quiet && r.worth():
			return from, to
		case r.days > 1 && r.day < today:
			return from, from + r.days
		}
	}
	return 0, 0
}

// run is entries that could become one.
type run struct {
	last    *archive.Entry
	n       int
	records int64
	first   int64 // those of the first one
	fresh   int64 // those of entries without rollups
	days    int   // how many are of the first one's day
	day     int64 // that day
}

func newRun(e *archive.Entry) *run {
	return &run{last: e, n: 1, records: e.Records, first: e.Records, fresh: freshOf(e), days: 1, day: dayOf(e.AppendedTo.Time())}
}

// freshOf counts the records of an entry that has no rollups.
func freshOf(e *archive.Entry) int64 {
	if _, merged := e.Object(archive.Hours); merged {
		return 0
	}
	return e.Records
}

func (r *run) full() bool { return r.records >= fullRecords }

// takes tells whether the next entry can be merged with those of the run.
func (r *run) takes(e *archive.Entry) bool {
	return !r.full() && e.Records < fullRecords && r.n < manifest.MaxReplaced && r.records+e.Records <= mergedRecords && e.First.SameLog(r.last.Last)
}

func (r *run) add(e *archive.Entry) {
	if r.days == r.n && (e.Events == 0 || dayOf(e.AppendedTo.Time()) == r.day) {
		r.days++
	}
	r.last, r.records, r.fresh, r.n = e, r.records+e.Records, r.fresh+freshOf(e), r.n+1
}

// due tells whether the run is to be merged; followed, that the entry behind it can never be part of it.
func (r *run) due(followed bool, many int) bool {
	if r.n == 1 {
		return r.fresh > 0 && (r.full() || followed)
	}
	return r.full() || followed || r.n >= many && r.first <= 2*(r.records-r.first)
}

func (r *run) worth() bool { return r.fresh >= worthMerging && r.fresh >= r.records/3 }

// dayOf is the day of UTC. Of an entry without events it is one that is over.
func dayOf(t time.Time) int64 { return t.Unix() / int64(24*time.Hour/time.Second) }

// clear removes objects that were replaced, some time later.
func (t *tenure) clear(ctx context.Context) error {
	for _, r := range t.part.Replaced {
		if time.Since(r.At) < t.cfg.KeepReplaced {
			continue
		}
		for _, name := range r.Objects {
			if lists(&t.part, name) {
				continue
			}
			if err := t.store.Remove(ctx, name); err != nil {
				return err
			}
		}
		if err := t.manifest.Forget(ctx, &t.part, r, t.Guard()); err != nil {
			return err
		}
		t.metrics.objectsRemoved.Add(float64(len(r.Objects)))
	}
	return nil
}

func lists(p *manifest.Partition, name string) bool {
	for i := range p.Entries {
		for _, o := range p.Entries[i].Objects {
			if o.Name == name {
				return true
			}
		}
	}
	return false
}
