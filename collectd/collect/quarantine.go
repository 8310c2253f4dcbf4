package collect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// failure is the reason why an event cannot be folded: a code for programs, a text for people, and the stack of a
// panic of ours. A partial failure concerns some records of the event; the others are folded.
type failure struct {
	reason, text string
	stack        []byte
	partial      bool
	records      int // of a partial failure: records that are not folded
}

// partialFailure returns the failure of an event of which records could not be folded, and the others are. Its entry
// says so, and a retry folds the whole event again, which makes no difference to records that are folded already.
func partialFailure(reason, text string, records int) *failure {
	return &failure{reason: reason, text: text, partial: true, records: records}
}

// The reasons are values of a metric's label and of answers: they are never renamed.
const (
	overwritten     = "overwritten"      // the event's key was written again
	unknownEncoding = "unknown_encoding" // written by a newer version, or not an event
	undecodable     = "undecodable"      // its key or value is not valid for an event
	panicked        = "unfoldable"       // folding it panicked
	missing         = "missing"          // it was in the log before and is no longer there
	oversized       = "too_large"        // its host's model would no longer fit one value of etcd
)

// damageFailure returns the failure of an event that the log itself reports as unusable.
func damageFailure(err error) *failure {
	reason := undecodable
	if errors.Is(err, events.ErrOverwritten) {
		reason = overwritten
	} else if _, unknown := errors.AsType[*events.UnknownEncodingError](err); unknown {
		reason = unknownEncoding
	}
	return &failure{reason: reason, text: err.Error()}
}

// panicFailure returns the failure of an event whose fold panicked. It is called where the panic is recovered, for
// its stack.
func panicFailure(cause any) *failure {
	return &failure{reason: panicked, text: fmt.Sprintf("folding it panicked: %v", cause), stack: debug.Stack()}
}

// entryOf returns the entry of an event that fails for the first time.
func entryOf(ev *events.Event, f *failure, version int) snapshot.Quarantined {
	now := time.Now()
	return snapshot.Quarantined{
		ID: snapshot.EntryIDOf(ev.Key, ev.Revision), Key: ev.Key, Revision: ev.Revision, Host: ev.Host, Upload: ev.Upload,
		Reason: f.reason, Text: f.text, At: now, Version: version, Attempts: 1, TriedAt: now, TriedVersion: version,
	}
}

// quarantine is the part of a state that tracks events that cannot be folded, and their unwritten entries. The
// state's lock guards it.
type quarantine struct {
	known     map[[16]byte][]int64 // by hash of an event's key: revisions that have an entry, stored or due
	due       map[snapshot.EntryID]snapshot.Quarantined
	resolving map[snapshot.EntryID]events.HostID // folded since: removed once the host's fold is stored
	answered  []snapshot.RetryRequest            // removed once resolving is empty
}

func newQuarantine() quarantine {
	return quarantine{
		known: map[[16]byte][]int64{}, due: map[snapshot.EntryID]snapshot.Quarantined{},
		resolving: map[snapshot.EntryID]events.HostID{},
	}
}

func (q *quarantine) hasEntry(id snapshot.EntryID) bool {
	return slices.Contains(q.known[id.Event], id.Revision)
}

func (q *quarantine) addEntry(id snapshot.EntryID) {
	if !q.hasEntry(id) {
		q.known[id.Event] = append(q.known[id.Event], id.Revision)
	}
}

func (q *quarantine) removeEntry(id snapshot.EntryID) {
	rest := slices.DeleteFunc(q.known[id.Event], func(r int64) bool { return r == id.Revision })
	if q.known[id.Event] = rest; len(rest) == 0 {
		delete(q.known, id.Event)
	}
}

// takeDue adds all due changes to a commit: new entries at once; the removal of an entry once stored reports that its
// host's models and records are in this commit or an earlier one; the removal of retry requests once no entry is
// resolving.
func (q *quarantine) takeDue(c *snapshot.Commit, stored func(events.HostID) bool) {
	c.Quarantine = slices.SortedFunc(maps.Values(q.due), func(a, b snapshot.Quarantined) int {
		return cmp.Or(cmp.Compare(a.ID.Revision, b.ID.Revision), slices.Compare(a.ID.Event[:], b.ID.Event[:]))
	})
	clear(q.due)
	for id, host := range q.resolving {
		if stored(host) {
			c.Resolved = append(c.Resolved, id)
			delete(q.resolving, id)
		}
	}
	if len(q.resolving) == 0 {
		c.Retried, q.answered = q.answered, nil
	}
}

// quarantineEvent adds the entry of an event that cannot be folded, unless it exists. With again the entry is written
// anyway.
func (s *state) quarantineEvent(entry snapshot.Quarantined, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.quarantine
	_, isDue := q.due[entry.ID]
	if q.hasEntry(entry.ID) && !again {
		return
	}
	if !isDue {
		s.records++
	}
	q.due[entry.ID] = entry
	delete(q.resolving, entry.ID)
	q.addEntry(entry.ID)
	s.changed.Set()
}

// resolveEntry removes an entry whose event is folded now.
func (s *state) resolveEntry(id snapshot.EntryID, host events.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolveEntryLocked(id, host)
}

func (s *state) resolveEntryLocked(id snapshot.EntryID, host events.HostID) {
	q := &s.quarantine
	if _, isDue := q.due[id]; isDue {
		delete(q.due, id)
		s.records--
	}
	q.removeEntry(id)
	q.resolving[id] = host
	s.changed.Set()
}

// resolveOlder removes the entries of an event that was folded: its own, when the fold failed before, and the entries
// of earlier values of its key.
func (s *state) resolveOlder(ev *events.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.quarantine.known) == 0 {
		return
	}
	id := snapshot.EntryIDOf(ev.Key, ev.Revision)
	for _, revision := range slices.Clone(s.quarantine.known[id.Event]) {
		if revision <= ev.Revision.Number {
			s.resolveEntryLocked(snapshot.EntryID{Revision: revision, Event: id.Event}, ev.Host)
		}
	}
}

// markAnswered records that the retries were attempted.
func (s *state) markAnswered(requests []snapshot.RetryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quarantine.answered = append(s.quarantine.answered, requests...)
	s.changed.Set()
}

// unansweredRetries returns the requests without those that are answered already and wait for their removal.
func (s *state) unansweredRetries(requests []snapshot.RetryRequest) []snapshot.RetryRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(requests, func(m snapshot.RetryRequest) bool { return slices.Contains(s.quarantine.answered, m) })
}

// entryCount returns the number of entries in the partition's quarantine.
func (s *state) entryCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, revisions := range s.quarantine.known {
		n += len(revisions)
	}
	return n
}
