package ingest

import (
	"time"

	"telemetry-pipeline/events"
)

// backlog is what this process has appended and the collectors have not folded yet, as far as its age is
// concerned. It costs the log nothing: what was appended when is known here, and how far each partition is
// folded is watched. It is bounded by forgetting when exactly things were appended, never that they were or how
// old the oldest is.
type backlog struct {
	waiting map[events.Partition][]appended
	folded  map[events.Partition]int64
}

// appended says that events up to a revision were appended, the first of them at an instant.
type appended struct {
	revision int64
	at       time.Time
}

const (
	backlogStep = 500 * time.Millisecond // appends within it are one entry
	backlogMost = 64                     // entries of a partition
)

func newBacklog() *backlog {
	return &backlog{waiting: map[events.Partition][]appended{}, folded: map[events.Partition]int64{}}
}

// add notes an append that began at an instant.
func (b *backlog) add(p events.Partition, r events.Revision, at time.Time) {
	all := b.waiting[p]
	if r.Number <= b.folded[p] {
		return
	}
	if n := len(all); n > 0 && (r.Number <= all[n-1].revision || at.Sub(all[n-1].at) < backlogStep) {
		all[n-1].revision = max(all[n-1].revision, r.Number)
		return
	}
	if len(all) == backlogMost {
		all = halved(all)
	}
	b.waiting[p] = append(all, appended{r.Number, at})
}

// halved joins neighbours: the age of the older, the revision of the newer.
func halved(all []appended) []appended {
	var out []appended
	for i := 0; i+1 < len(all); i += 2 {
		out = append(out, appended{all[i+1].revision, all[i].at})
	}
	return out
}

// reached notes how far a partition is folded.
func (b *backlog) reached(p events.Partition, r events.Revision) {
	b.folded[p] = r.Number
	all := b.waiting[p]
	for len(all) > 0 && all[0].revision <= r.Number {
		all = all[1:]
	}
	if len(all) == 0 {
		delete(b.waiting, p)
		return
	}
	b.waiting[p] = all
}

// age returns the age of the oldest append that is not folded.
func (b *backlog) age(now time.Time) time.Duration {
	oldest := now
	for _, all := range b.waiting {
		if all[0].at.Before(oldest) {
			oldest = all[0].at
		}
	}
	return now.Sub(oldest)
}
