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
	Sequence   ContentHash // hash over the records as the source gave them
	Zone       string      // the time zone assumed for times without one; "" when none was
	Upload     UploadID    // travels along as correlation id; not part of the content
	AppendedAt Timestamp   // set by Append; not part of the content

	Revision Revision // set when read back from the log
	Key      string   // set when read back from the log
	// Damage tells why an event of the log cannot be used (undecodable, overwritten, of an unknown
	// encoding); from the log it is a DamageError. Then Key and Revision hold, Host when the key could be
	// parsed, and there are no columns.
	Damage error
}

// Column is the readings of one metric of one identity under one source name.
type Column struct {
	Identity int    // index in Event.Identities
	Metric   string // canonical name (package metric)
	Source   string // the name it came under
	Samples
}

// Records counts the event's readings.
func (e *Event) Records() int {
	n := 0
	for i := range e.Columns {
		n += e.Columns[i].Len()
	}
	return n
}

// First gives the earliest record time, by which the event's key is ordered. An event without records
// has none: 0.
func (e *Event) First() Timestamp {
	var first Timestamp
	for i, found := 0, false; i < len(e.Columns); i++ {
		if times := e.Columns[i].Times; len(times) > 0 && (!found || times[0] < first) {
			first, found = times[0], true
		}
	}
	return first
}

// ContentHash is 128 bits of hash that identify an event's records: the same records, cut the same way,
// are the same event.
type ContentHash [16]byte

// String writes 32 hexadecimal digits.
func (s ContentHash) String() string { return hex.EncodeToString(s[:]) }

// ParseSequence undoes String.
func ParseSequence(text string) (ContentHash, error) {
	var s ContentHash
	if len(text) == hex.EncodedLen(len(s)) {
		if _, err := hex.Decode(s[:], []byte(text)); err == nil && s.String() == text {
			return s, nil
		}
	}
	return ContentHash{}, fmt.Errorf("parsing sequence %.64q: it is 32 digits of 0-9a-f", text)
}

// UploadID is the id under which an upload is known to its sender, in logs and in events.
type UploadID string

// Record is one reading, as a parser hands it over. Identity is shared between records and not
// changed after it was handed over. Text is the source's own text of the value, over which the
// Sequence is taken; it may alias a buffer and is not kept.
type Record struct {
	Identity *Identity
	Metric   string
	Source   string
	At       Timestamp
	Value    Value
	Text     []byte
}
