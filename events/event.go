package events

import (
	"encoding/hex"
	"fmt"
)

// Event is an immutable batch of records of one host: identities once, then a column of readings per
// (identity, metric, source name). Columns are sorted by (identity's content, metric, source), their
// samples canonical, so an event's records have one form.
type Event struct {
	Host       HostID
	Identities []Identity // sorted by content
	Columns    []Column
	Sequence   ContentHash // hash over the records as they came from the source
	Zone       string      // the time zone assumed for times without one; "" if none was assumed
	Upload     UploadID    // correlation id; not part of the content
	AppendedAt Timestamp   // set by Append; not part of the content

	// Trace is the trace of the Append that created the event, set by it if it is sampled; not part of the content.
	Trace TraceContext

	Revision Revision // set when read from the log
	Key      string   // set when read from the log
	// Damage is the reason why an event of the log cannot be used (undecodable, overwritten, of an unknown encoding);
	// from the log it is a DamageError. A damaged event has a Key and a Revision, a Host if the key could be parsed,
	// and no columns.
	Damage error
}

// Column holds the readings of one metric of one identity under one source name.
type Column struct {
	Identity int    // index in Event.Identities
	Metric   string // canonical name (package metric)
	Source   string // the metric's name in the source
	Samples
}

// Records returns the number of the event's readings.
func (e *Event) Records() int {
	n := 0
	for i := range e.Columns {
		n += e.Columns[i].Len()
	}
	return n
}

// First returns the earliest record time, by which the event's key is ordered. It returns 0 for an event without
// records.
func (e *Event) First() Timestamp {
	var first Timestamp
	for i, found := 0, false; i < len(e.Columns); i++ {
		if times := e.Columns[i].Times; len(times) > 0 && (!found || times[0] < first) {
			first, found = times[0], true
		}
	}
	return first
}

// Last returns the latest record time, or 0 for an event without records.
func (e *Event) Last() Timestamp {
	var last Timestamp
	for i, found := 0, false; i < len(e.Columns); i++ {
		if times := e.Columns[i].Times; len(times) > 0 && (!found || times[len(times)-1] > last) {
			last, found = times[len(times)-1], true
		}
	}
	return last
}

// ContentHash is a 128-bit hash that identifies an event's records: the same records, cut the same way, are the same
// event.
type ContentHash [16]byte

// String returns 32 hexadecimal digits.
func (s ContentHash) String() string { return hex.EncodeToString(s[:]) }

// ParseContentHash parses the result of String.
func ParseContentHash(text string) (ContentHash, error) {
	var s ContentHash
	if len(text) == hex.EncodedLen(len(s)) {
		if _, err := hex.Decode(s[:], []byte(text)); err == nil && s.String() == text {
			return s, nil
		}
	}
	return ContentHash{}, fmt.Errorf("parsing sequence %.64q: it is 32 digits of 0-9a-f", text)
}

// UploadID is the id of an upload for its sender, in logs and in events.
type UploadID string

// Record is one reading as returned by a parser. Records share their Identity, which must not change any more. Text
// is the source's own text of the value and part of the Sequence; it may alias a buffer and is not kept.
type Record struct {
	Identity *Identity
	Metric   string
	Source   string
	At       Timestamp
	Value    Value
	Text     []byte
}
