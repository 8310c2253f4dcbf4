package ingest

import (
	"time"

	"telemetry-pipeline/events"
)

// backlog holds the appends of this process that the collectors have not folded yet, to know the age of the oldest.
// It adds no reads of the log: the times of appends are known here, and folded positions are watched. It is bounded
// by forgetting exact append times, never that an append happened or how old the oldest is.
type backlog struct {
	pending map[events.Partition][]pendingAppends
	folded  map[events.Partition]int64
}

// pendingAppends are appends up to a revision; the first of them began at an instant.
type pendingAppends struct {
	revision int64
	at       time.Time
}

const (
	backlogStep       = 500 * time.Millisecond // appends within it are one entry
	maxBacklogEntries = 64                     // entries of a partition
)

func newBacklog() *backlog {
	return &backlog{pending: map[events.Partition][]pendingAppends{}, folded: map[events.Partition]int64{}}
}

// addAppend notes an append that began at an instant.
func (b *backlog) addAppend(p events.Partition, r events.Revision, at time.Time) {
	all := b.pending[p]
	if r.Number <= b.folded[p] {
		return
	}
	if n := len(all); n > 0 && (r.Number <= all[n-1].revision || at.Sub(all[n-1].at) < backlogStep) {
		all[n-1].revision = max(all[n-1].revision, r.Number)
		return
	}
	if len(all) == maxBacklogEntries {
		all = joinNeighbours(all)
	}
	b.pending[p] = append(all, pendingAppends{r.Number, at})
}

// joinNeighbours joins neighbours: the age of the older, the revision of the newer.
func joinNeighbours(all []pendingAppends) []pendingAppends {
	var out []pendingAppends
	for i := 0; i+1 < len(all); i += 2 {
		out = append(out, pendingAppends{all[i+1].revision, all[i].at})
	}
	return out
}

// setFolded notes how far a partition is folded.
func (b *backlog) setFolded(p events.Partition, r events.Revision) {
	b.folded[p] = r.Number
	all := b.pending[p]
	for len(all) > 0 && all[0].revision <= r.Number {
		all = all[1:]
	}
	if len(all) == 0 {
		delete(b.pending, p)
		return
	}
	b.pending[p] = all
}

// oldestAge returns the age of the oldest append that is not folded.
func (b *backlog) oldestAge(now time.Time) time.Duration {
	oldest := now
	for _, all := range b.pending {
		if all[0].at.Before(oldest) {
			oldest = all[0].at
		}
	}
	return now.Sub(oldest)
}
