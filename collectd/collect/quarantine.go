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

// recordsOf returns the number of records of an event that a failure concerns; 0 for a damaged event.
func (f *failure) recordsOf(ev *events.Event) int {
	if f.partial {
		return f.records
	}
	return ev.Records()
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
		Records: f.recordsOf(ev), Partial: f.partial,
	}
}

// The bounds of a partition's entries. Events beyond them are counted in summaries, one for each reason.
const (
	maxQuarantineEntries = 4096
	maxQuarantineBytes   = 4 << 20
)

// quarantine is the part of a state that tracks events that cannot be folded, and their unwritten entries. The
// state's lock guards it.
type quarantine struct {
	maxEntries, maxBytes int

	known     map[[16]byte][]knownEntry                 // by hash of an event's key: entries that are stored or due
	entries   int                                       // in known
	bytes     int                                       // of them, as stored
	records   int                                       // of their events
	summaries map[snapshot.EntryID]snapshot.Quarantined // stored or due
	due       map[snapshot.EntryID]snapshot.Quarantined
	inCommit  int                              // due entries taken for the commit in progress
	folded    map[snapshot.EntryID]foldedEntry // folded since: changed once the host's fold is stored
	answered  []snapshot.RetryRequest          // removed once folded is empty and no summaries are retried
	retry     *summaryRetry                    // of the summaries; nil: none is in progress
}

// knownEntry is an entry of one event.
type knownEntry struct {
	revision int64
	bytes    int
	records  int
}

// foldedEntry is a change of an entry that waits for the fold of its event to be stored.
type foldedEntry struct {
	host events.HostID
	rest *snapshot.Quarantined // the entry of an event that is folded in part; nil: the entry is removed
}

func newQuarantine(cfg Config) quarantine {
	return quarantine{
		maxEntries: cfg.quarantineEntries, maxBytes: cfg.quarantineBytes,
		known: map[[16]byte][]knownEntry{}, summaries: map[snapshot.EntryID]snapshot.Quarantined{},
		due: map[snapshot.EntryID]snapshot.Quarantined{}, folded: map[snapshot.EntryID]foldedEntry{},
	}
}

func (q *quarantine) hasEntry(id snapshot.EntryID) bool {
	return slices.ContainsFunc(q.known[id.Event], func(k knownEntry) bool { return k.revision == id.Revision })
}

// addEntry tracks an entry that is stored or due, in place of an earlier form of the same entry.
func (q *quarantine) addEntry(entry *snapshot.Quarantined) {
	if entry.ID.IsSummary() {
		q.summaries[entry.ID] = *entry
		return
	}
	q.removeEntry(entry.ID)
	k := knownEntry{revision: entry.ID.Revision, bytes: entry.StoredSize(), records: entry.Records}
	q.known[entry.ID.Event] = append(q.known[entry.ID.Event], k)
	q.entries++
	q.bytes += k.bytes
	q.records += k.records
}

func (q *quarantine) removeEntry(id snapshot.EntryID) {
	rest := slices.DeleteFunc(q.known[id.Event], func(k knownEntry) bool {
		if k.revision != id.Revision {
			return false
		}
		q.entries--
		q.bytes -= k.bytes
		q.records -= k.records
		return true
	})
	if q.known[id.Event] = rest; len(rest) == 0 {
		delete(q.known, id.Event)
	}
}

// hasRoom reports whether another event may have an entry of its own.
func (q *quarantine) hasRoom(entry *snapshot.Quarantined) bool {
	return q.entries < q.maxEntries && q.bytes+entry.StoredSize() <= q.maxBytes
}

// quarantineSize is the content of a partition's quarantine.
type quarantineSize struct{ entries, events, records int }

func (q *quarantine) size() quarantineSize {
	n := quarantineSize{entries: q.entries + len(q.summaries), events: q.entries, records: q.records}
	for _, sum := range q.summaries {
		n.events += sum.EventCount()
		n.records += sum.Records
	}
	return n
}

// takeDue adds all due changes to a commit: new entries at once; the change of an entry once stored reports that its
// host's models and records are in this commit or an earlier one, and the change of retried summaries likewise; the
// removal of retry requests once no such change is left.
func (q *quarantine) takeDue(c *snapshot.Commit, stored func(events.HostID) bool) {
	q.inCommit = len(q.due)
	for id, f := range q.folded {
		if !stored(f.host) {
			continue
		}
		if delete(q.folded, id); f.rest == nil {
			c.Resolved = append(c.Resolved, id)
		} else {
			c.Quarantine = append(c.Quarantine, *f.rest)
		}
	}
	q.endRetry(c, stored)
	c.Quarantine = slices.AppendSeq(c.Quarantine, maps.Values(q.due))
	clear(q.due)
	slices.SortFunc(c.Quarantine, func(a, b snapshot.Quarantined) int {
		return cmp.Or(cmp.Compare(a.ID.Revision, b.ID.Revision), slices.Compare(a.ID.Event[:], b.ID.Event[:]))
	})
	if len(q.folded) == 0 && q.retry == nil {
		c.Retried, q.answered = q.answered, nil
	}
}

// quarantineEvent adds the entry of an event that cannot be folded, unless it exists. With again the entry is written
// anyway. Without room for an entry the event is counted in the summary of its reason.
func (s *state) quarantineEvent(entry snapshot.Quarantined, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.quarantine
	switch known := q.hasEntry(entry.ID); {
	case known && !again:
		return
	case !known && !q.hasRoom(&entry):
		s.summariseLocked(entry)
		return
	}
	s.putEntryLocked(entry)
}

func (s *state) putEntryLocked(entry snapshot.Quarantined) {
	q := &s.quarantine
	if _, isDue := q.due[entry.ID]; !isDue {
		s.records++
	}
	q.due[entry.ID] = entry
	delete(q.folded, entry.ID)
	q.addEntry(&entry)
	s.changed.Set()
}

// replaceEntry rewrites the entry of an event that a retry has folded in part, once that part is stored.
func (s *state) replaceEntry(entry snapshot.Quarantined, host events.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropDueLocked(entry.ID)
	s.quarantine.addEntry(&entry)
	s.quarantine.folded[entry.ID] = foldedEntry{host: host, rest: &entry}
	s.changed.Set()
}

// resolveEntry removes an entry whose event is folded now.
func (s *state) resolveEntry(id snapshot.EntryID, host events.HostID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resolveEntryLocked(id, host)
}

func (s *state) resolveEntryLocked(id snapshot.EntryID, host events.HostID) {
	s.dropDueLocked(id)
	s.quarantine.removeEntry(id)
	s.quarantine.folded[id] = foldedEntry{host: host}
	s.changed.Set()
}

func (s *state) dropDueLocked(id snapshot.EntryID) {
	if _, isDue := s.quarantine.due[id]; isDue {
		delete(s.quarantine.due, id)
		s.records--
	}
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
	for _, k := range slices.Clone(s.quarantine.known[id.Event]) {
		if k.revision <= ev.Revision.Number {
			s.resolveEntryLocked(snapshot.EntryID{Revision: k.revision, Event: id.Event}, ev.Host)
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

// quarantineSize returns the size of the partition's quarantine.
func (s *state) quarantineSize() quarantineSize {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.quarantine.size()
}
