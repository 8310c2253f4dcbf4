package collect

import (
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// Events that find no room among a partition's entries are counted in summaries: how many, how many records, and the
// first and the last of them. A summary lists no event, so a retry reads the log and the archive between the first and
// the last and folds every event again; those that are folded already make no difference. It then replaces the counts
// with the counts of the events that still fail, so it also corrects counts that are too high: a collector that starts again
// counts the events once more that it had counted and that its stored offset had not passed.

// summaryRetry is a retry of a partition's summaries.
type summaryRetry struct {
	failed  map[snapshot.EntryID]snapshot.Quarantined // events that failed again and found no room
	grown   map[snapshot.EntryID]snapshot.Quarantined // events that were counted since the retry began
	hosts   map[events.HostID]bool                    // hosts of folded events that may not be stored yet
	version int                                       // of the models
	over    bool                                      // every event has been tried
}

// summaryOf returns the summary of a single event.
func summaryOf(entry snapshot.Quarantined) snapshot.Quarantined {
	entry.ID = snapshot.SummaryID(entry.Reason)
	entry.Events, entry.LastKey, entry.LastRevision = 1, entry.Key, entry.Revision
	entry.Host, entry.Partial = "", false
	return entry
}

// mergeSummaries adds b, the newer one, to the summary a of the same reason. Either may be empty.
func mergeSummaries(a, b snapshot.Quarantined) snapshot.Quarantined {
	switch {
	case a.Events == 0:
		return b
	case b.Events == 0:
		return a
	}
	a.Events += b.Events
	a.Records += b.Records
	if b.Revision.Number < a.Revision.Number {
		a.Revision, a.Key = b.Revision, b.Key
	}
	if b.LastRevision.Number >= a.LastRevision.Number {
		a.LastRevision, a.LastKey = b.LastRevision, b.LastKey
	}
	a.Reason, a.Text, a.Upload = b.Reason, b.Text, b.Upload
	return a
}

func addTo(summaries map[snapshot.EntryID]snapshot.Quarantined, sum snapshot.Quarantined) {
	summaries[sum.ID] = mergeSummaries(summaries[sum.ID], sum)
}

// summariseLocked counts an event that has no room for an entry.
func (s *state) summariseLocked(entry snapshot.Quarantined) {
	q := &s.quarantine
	sum := summaryOf(entry)
	if q.retry != nil {
		addTo(q.retry.grown, sum)
	}
	s.putEntryLocked(mergeSummaries(q.summaries[sum.ID], sum))
}

// beginSummaryRetry begins a retry of the summaries and returns the range of their events, after and upto. ok is false
// when there are none.
func (s *state) beginSummaryRetry(version int) (after, upto events.Revision, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.quarantine
	if len(q.summaries) == 0 {
		return after, upto, false
	}
	q.retry = &summaryRetry{
		failed: map[snapshot.EntryID]snapshot.Quarantined{}, grown: map[snapshot.EntryID]snapshot.Quarantined{}, hosts: map[events.HostID]bool{}, version: version,
	}
	after, upto = s.folded, s.folded
	upto.Number = 0
	for _, sum := range q.summaries {
		after.Number = min(after.Number, sum.Revision.Number-1)
		if sum.LastRevision.Number == 0 { // its value could not be read
			after.Number, upto.Number = 0, s.folded.Number
		}
		upto.Number = max(upto.Number, sum.LastRevision.Number)
	}
	after.Number = max(after.Number, 0)
	return after, upto, true
}

// abandonSummaryRetry leaves the summaries as they are, after a retry that could not try every event.
func (s *state) abandonSummaryRetry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quarantine.retry = nil
}

// finishSummaryRetry records that every event of the summaries has been tried.
func (s *state) finishSummaryRetry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quarantine.retry.over = true
	s.changed.Set()
}

// hasEntry reports whether an event has an entry of its own.
func (s *state) hasEntry(id snapshot.EntryID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quarantine.hasEntry(id)
}

// addRetried records the result of an event that a retry of the summaries has tried: failed is nil, or its new entry.
func (s *state) addRetried(host events.HostID, failed *snapshot.Quarantined) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.quarantine
	if failed == nil || failed.Partial {
		q.retry.hosts[host] = true
	}
	switch {
	case failed == nil:
	case q.hasRoom(failed):
		s.putEntryLocked(*failed)
	default:
		addTo(q.retry.failed, summaryOf(*failed))
	}
}

// endRetry replaces the summaries once a retry has tried all their events and everything that it folded is stored.
func (q *quarantine) endRetry(c *snapshot.Commit, stored func(events.HostID) bool) {
	r := q.retry
	if r == nil || !r.over {
		return
	}
	for host := range r.hosts {
		if stored(host) {
			delete(r.hosts, host)
		}
	}
	if len(r.hosts) > 0 {
		return
	}
	old := q.summaries
	q.retry, q.summaries = nil, map[snapshot.EntryID]snapshot.Quarantined{}
	for _, some := range []map[snapshot.EntryID]snapshot.Quarantined{r.failed, r.grown} {
		for _, sum := range some {
			addTo(q.summaries, sum)
		}
	}
	for id := range old {
		delete(q.due, id)
		if q.summaries[id].Events == 0 {
			c.Resolved = append(c.Resolved, id)
		}
	}
	for id, sum := range q.summaries {
		if was := old[id]; was.Events > 0 {
			sum.At, sum.Attempts = was.At, was.Attempts
		}
		sum.Attempts++
		sum.TriedAt, sum.TriedVersion = time.Now(), r.version
		q.summaries[id] = sum
		c.Quarantine = append(c.Quarantine, sum)
	}
}
