package snapshot

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// EntryID names an entry of the quarantine within its partition. An event that is found again has the same id, so it
// has one entry however often it is found. The zero EntryID names no entry.
type EntryID struct {
	Revision int64    // of the event
	Event    [16]byte // hash of the event's key
}

// EntryIDOf returns the id of an event's entry.
func EntryIDOf(event string, at events.Revision) EntryID {
	return EntryID{Revision: at.Number, Event: xxh3.HashString128(event).Bytes()}
}

// String returns a name of fixed width, so that names sort by revision; parseEntryID reverses it.
func (id EntryID) String() string { return fmt.Sprintf("%019d-%x", id.Revision, id.Event) }

func parseEntryID(name string) (EntryID, error) {
	var id EntryID
	if len(name) == len(EntryID{}.String()) {
		revision, err := strconv.ParseInt(name[:19], 10, 64)
		_, err2 := hex.Decode(id.Event[:], []byte(name[20:]))
		if id.Revision = revision; err == nil && err2 == nil && id.String() == name {
			return id, nil
		}
	}
	return EntryID{}, fmt.Errorf("parsing the name of a quarantine entry %.80q: it is 19 digits, a dash and 32 hexadecimal digits", name)
}

// SummaryID returns the id of a partition's summary of events with a reason. No event has revision 0.
func SummaryID(reason string) EntryID {
	return EntryID{Event: xxh3.HashString128(reason).Bytes()}
}

// IsSummary reports whether the id is the id of a summary.
func (id EntryID) IsSummary() bool { return id.Revision == 0 && id != EntryID{} }

// Quarantined is an entry of the quarantine: an event that could not be folded, or not as a whole, or a summary of such
// events. The events themselves are in the log or the archive.
type Quarantined struct {
	ID        EntryID
	Partition events.Partition // set when read back
	Key       string           // of the event; a very long one is cut
	Revision  events.Revision
	Host      events.HostID // "" when the key does not contain it
	Reason    string        // a word for programs and metrics
	Text      string        // the cause, for people
	Upload    events.UploadID
	At        time.Time // when it was found
	Version   int       // ModelVersion of the collector that found it

	Attempts       int       // folds tried, including the first
	TriedAt        time.Time // time of the last attempt
	TriedVersion   int       // ModelVersion of the last attempt
	RetryRequested bool      // a retry is requested; set by QuarantineList only

	Records int  // records that are not folded; 0: not known, such as of a damaged event
	Partial bool // the other records of the event are folded

	// Of a summary (ID.IsSummary). Its Key and Revision are the first event's, its Upload and Text of the event that was
	// counted last; it has no host. Each of its events is in the range, and so may other events be.
	Events       int // at least 1
	LastKey      string
	LastRevision events.Revision
}

// EventCount returns the number of events that the entry stands for.
func (q *Quarantined) EventCount() int { return max(1, q.Events) }

// entryValue is the stored form of an entry.
type entryValue struct {
	Key          string    `json:"key"`
	Revision     string    `json:"revision"`
	Host         string    `json:"host,omitempty"`
	Reason       string    `json:"reason"`
	Text         string    `json:"text"`
	Upload       string    `json:"upload_id,omitempty"`
	At           time.Time `json:"at"`
	Version      int       `json:"model_version"`
	Attempts     int       `json:"attempts"`
	TriedAt      time.Time `json:"tried_at"`
	TriedVersion int       `json:"tried_version"`
	Records      int       `json:"records,omitempty"`
	Partial      bool      `json:"partial,omitempty"`
	Events       int       `json:"events,omitempty"` // of a summary, as the next two
	LastKey      string    `json:"last_key,omitempty"`
	LastRevision string    `json:"last_revision,omitempty"`
}

// Bounds of foreign texts in an entry, so that every event fits into one.
const (
	maxEntryKey  = 2 << 10
	maxEntryText = 1 << 10
)

// UnknownReason is the reason of an entry whose value cannot be read.
const UnknownReason = "unknown"

// StoredSize returns the number of bytes that an entry takes in etcd, without the prefix of its key.
func (q *Quarantined) StoredSize() int {
	value, err := packEntry(q)
	if err != nil {
		return 0 // Save returns the error
	}
	return len(q.ID.String()) + len(value)
}

func packEntry(q *Quarantined) ([]byte, error) {
	v := entryValue{
		Key: truncateText(q.Key, maxEntryKey), Revision: q.Revision.String(), Host: truncateText(string(q.Host), maxEntryText),
		Reason: q.Reason, Text: truncateText(q.Text, maxEntryText), Upload: truncateText(string(q.Upload), maxUpload),
		At: q.At.UTC(), Version: q.Version, Attempts: q.Attempts, TriedAt: q.TriedAt.UTC(), TriedVersion: q.TriedVersion,
		Records: q.Records, Partial: q.Partial,
	}
	if q.ID.IsSummary() {
		v.Events, v.LastKey, v.LastRevision = q.Events, truncateText(q.LastKey, maxEntryKey), q.LastRevision.String()
	}
	return json.Marshal(v)
}

func truncateText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// unpackEntry returns an entry. If its value cannot be read, the entry holds the facts of its key alone: the entry
// exists, and so does its event.
func (s *Store) unpackEntry(kv *mvccpb.KeyValue) (Quarantined, error) {
	p, id, err := s.keys.parseEntry(string(kv.Key))
	if err != nil {
		return Quarantined{}, &DamagedError{Key: string(kv.Key), Err: err}
	}
	q := Quarantined{ID: id, Partition: p, Revision: s.revisionAt(id.Revision)}
	if id.IsSummary() {
		q.Events = 1
	}
	var v entryValue
	if err := events.DecodeStoredJSON(kv.Value, &v); err != nil {
		q.Reason, q.Text = UnknownReason, fmt.Sprintf("the entry cannot be read: %v", err)
		return q, nil
	}
	if r, err := events.ParseRevision(v.Revision); err == nil {
		q.Revision = r
	}
	q.Key, q.Host, q.Reason, q.Text, q.Upload = v.Key, events.HostID(v.Host), v.Reason, v.Text, events.UploadID(v.Upload)
	q.At, q.Version, q.Attempts, q.TriedAt, q.TriedVersion = v.At, v.Version, v.Attempts, v.TriedAt, v.TriedVersion
	q.Records, q.Partial = v.Records, v.Partial
	if id.IsSummary() {
		q.Events, q.LastKey = max(1, v.Events), v.LastKey
		if r, err := events.ParseRevision(v.LastRevision); err == nil {
			q.LastRevision = r
		}
	}
	return q, nil
}

// quarantinePuts returns a commit's changes to the quarantine: entries to write, entries and retry requests to
// remove.
func (s *Store) quarantinePuts(g projections.Generation, p events.Partition, c Commit) ([]put, error) {
	var puts []put
	for i := range c.Quarantine {
		value, err := packEntry(&c.Quarantine[i])
		if err != nil {
			return nil, fmt.Errorf("writing a quarantine entry: %w", err)
		}
		puts = append(puts, put{key: s.keys.entryKey(g, p, c.Quarantine[i].ID), value: value})
	}
	for _, id := range c.Resolved {
		puts = append(puts, put{key: s.keys.entryKey(g, p, id), remove: true})
	}
	for _, m := range c.Retried {
		puts = append(puts, put{key: s.keys.retryKey(p, m.Entry), remove: true, seen: m.Revision})
	}
	return puts, nil
}
