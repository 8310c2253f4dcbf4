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

// failure says why an event cannot be folded: a word for programs, a text for people, and where it was when
// it is our own mistake.
type failure struct {
	reason, text string
	stack        []byte
}

// The reasons. They are values of a metric's label and stand in answers: never renamed.
const (
	overwritten     = "overwritten"      // something wrote the event's key again
	unknownEncoding = "unknown_encoding" // written by a newer version, or no event at all
	undecodable     = "undecodable"      // its key or value is not what an event's is
	panicked        = "unfoldable"       // folding it panicked
	missing         = "missing"          // it was here before and is not any more
	oversized       = "too_large"        // its host's model would no longer fit one value of etcd
)

// damage is the failure of an event that the log itself calls unusable.
func damage(err error) *failure {
	reason := undecodable
	if errors.Is(err, events.ErrOverwritten) {
		reason = overwritten
	} else if _, unknown := errors.AsType[*events.UnknownEncodingError](err); unknown {
		reason = unknownEncoding
	}
	return &failure{reason: reason, text: err.Error()}
}

// unfoldable is the failure of an event whose fold panicked, made where it was recovered.
func unfoldable(cause any) *failure {
	return &failure{reason: panicked, text: fmt.Sprintf("folding it panicked: %v", cause), stack: debug.Stack()}
}

// entryOf is the entry of an event that is met for the first time.
func entryOf(ev *events.Event, f *failure, version int) snapshot.Quarantined {
	now := time.Now()
	return snapshot.Quarantined{
		ID: snapshot.EntryIDOf(ev.Key, ev.Revision), Key: ev.Key, Revision: ev.Revision, Host: ev.Host, Upload: ev.Upload,
		Reason: f.reason, Text: f.text, At: now, Version: version, Attempts: 1, TriedAt: now, TriedVersion: version,
	}
}

// quarantine is the part of a state that is about events that cannot be folded: what of it is to be written.
// The state's lock guards it.
type quarantine struct {
	known    map[[16]byte][]int64 // by hash of an event's key: revisions that have an entry, stored or due
	due      map[snapshot.EntryID]snapshot.Quarantined
	settling map[snapshot.EntryID]events.HostID // folded since: to be removed once that host's fold is stored
	answered []snapshot.RetryRequest            // to be removed once nothing is settling
}

func newQuarantine() quarantine {
	return quarantine{
		known: map[[16]byte][]int64{}, due: map[snapshot.EntryID]snapshot.Quarantined{},
		settling: map[snapshot.EntryID]events.HostID{},
	}
}

func (q *quarantine) knows(id snapshot.EntryID) bool {
	return slices.Contains(q.known[id.Event], id.Revision)
}

func (q *quarantine) learn(id snapshot.EntryID) {
	if !q.knows(id) {
		q.known[id.Event] = append(q.known[id.Event], id.Revision)
	}
}

func (q *quarantine) forget(id snapshot.EntryID) {
	rest := slices.DeleteFunc(q.known[id.Event], func(r int64) bool { return r == id.Revision })
	if q.known[id.Event] = rest; len(rest) == 0 {
		delete(q.known, id.Event)
	}
}

// take puts into a commit all that is due: entries at once, the end of one when stored tells that its host's
// models and records are in this commit or an earlier one, and the marks when nothing waits for that.
func (q *quarantine) take(c *snapshot.Commit, stored func(events.HostID) bool) {
	c.Quarantine = slices.SortedFunc(maps.Values(q.due), func(a, b snapshot.Quarantined) int {
		return cmp.Or(cmp.Compare(a.ID.Revision, b.ID.Revision), slices.Compare(a.ID.Event[:], b.ID.Event[:]))
	})
	clear(q.due)
	for id, host := range q.settling {
		if stored(host) {
			c.Resolved = append(c.Resolved, id)
			delete(q.settling, id)
		}
	}
	if len(q.settling) == 0 {
		c.Retried, q.answered = q.answered, nil
	}
}

// quarantined keeps an event that cannot be folded for the quarantine, unless it is there already. With
// again its entry is written anyway.
func (s *state) quarantined(entry snapshot.Quarantined, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.quarantine
	_, isDue := q.due[entry.ID]
	if q.knows(entry.ID) && !again {
		return
	}
	if !isDue {
		s.records++
	}
	q.due[entry.ID] = entry
	delete(q.settling, entry.ID)
	q.learn(entry.ID)
	s.changed.Set()
}

// settle ends an entry whose event is folded now.
func (s *state) settle(id snapshot.EntryID, host events.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleLocked(id, host)
}

func (s *state) settleLocked(id snapshot.EntryID, host events.HostID) {
	q := &s.quarantine
	if _, isDue := q.due[id]; isDue {
		delete(q.due, id)
		s.records--
	}
	q.forget(id)
	q.settling[id] = host
	s.changed.Set()
}

// settleOlder ends the entries of an event that was folded: its own, when the fold failed before, and those
// of what stood under its key before the event was appended anew.
func (s *state) settleOlder(ev *events.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.quarantine.known) == 0 {
		return
	}
	id := snapshot.EntryIDOf(ev.Key, ev.Revision)
	for _, revision := range slices.Clone(s.quarantine.known[id.Event]) {
		if revision <= ev.Revision.Number {
			s.settleLocked(snapshot.EntryID{Revision: revision, Event: id.Event}, ev.Host)
		}
	}
}

// answered notes that what marks ask for was tried.
func (s *state) answered(marks []snapshot.RetryRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quarantine.answered = append(s.quarantine.answered, marks...)
	s.changed.Set()
}

// unanswered leaves out the marks that are answered already and only wait to be removed.
func (s *state) unanswered(marks []snapshot.RetryRequest) []snapshot.RetryRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(marks, func(m snapshot.RetryRequest) bool { return slices.Contains(s.quarantine.answered, m) })
}

// entries tells how many entries the partition's quarantine has.
func (s *state) entries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, revisions := range s.quarantine.known {
		n += len(revisions)
	}
	return n
}
