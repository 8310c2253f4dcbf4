package journal

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
)

// ErrCursor refuses a cursor that the journal did not issue, or that belongs to a query with another filter or order,
// or to another log.
var ErrCursor = errors.New("cursor does not belong to this query; start again without it")

// Cursor is an opaque position between two events. An event appended between two pages is on neither of them in
// descending order, and on the last page in ascending order. It names an event of the scope
// that it was made in, and is of use in no other.
type Cursor string

const (
	cursorVersion = 1
	maxCursor     = 8 << 10
)

// cursorAfter returns the cursor of a page that starts after the event last.
func (q *Query) cursorAfter(scope access.Scope, last events.Ref) Cursor {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, q.filterDigest(scope))
	b = binary.AppendUvarint(b, uint64(len(last.Key)))
	b = append(b, last.Key...)
	b = append(b, last.Revision.String()...)
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// decodeCursor is the inverse of cursorAfter.
func (q *Query) decodeCursor(scope access.Scope) (events.Ref, error) {
	if len(q.Cursor) > maxCursor {
		return events.Ref{}, ErrCursor
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(q.Cursor))
	if err != nil || len(raw) < 9 || raw[0] != cursorVersion || binary.BigEndian.Uint64(raw[1:9]) != q.filterDigest(scope) {
		return events.Ref{}, ErrCursor
	}
	raw = raw[9:]
	size, n := binary.Uvarint(raw)
	if n <= 0 || size > uint64(len(raw)-n) {
		return events.Ref{}, ErrCursor
	}
	key, rest := raw[n:n+int(size)], raw[n+int(size):]
	rev, err := events.ParseRevision(string(rest))
	if err != nil || rev.Number < 1 {
		return events.Ref{}, ErrCursor
	}
	return events.Ref{Key: string(key), Revision: rev}, nil
}

// filterDigest returns a hash that differs between queries which cannot share cursors. It ignores the limits.
func (q *Query) filterDigest(scope access.Scope) uint64 {
	h := fnv.New64a()
	write := func(texts ...string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(texts))))
		for _, s := range texts {
			h.Write(binary.AppendUvarint(nil, uint64(len(s))))
			h.Write([]byte(s))
		}
	}
	write(strings.Fields(q.flagTexts())...)
	write(sortedTexts(q.Hosts)...)
	write(sortedTexts(q.GPUs)...)
	write(sortedTexts(q.Metrics)...)
	write(sortedTexts(q.Uploads)...)
	write(q.After.String(), q.Before.String())
	if !scope.IsWhole() {
		write("scope", scope.String())
	}
	return h.Sum64()
}

// flagTexts returns the query's fields that are not lists, as words.
func (q *Query) flagTexts() string {
	var b strings.Builder
	if q.HasPartition {
		b.WriteString("partition " + q.Partition.String() + " ")
	}
	if q.Damaged {
		b.WriteString("damaged ")
	}
	if q.Oldest {
		b.WriteString("oldest")
	}
	return b.String()
}

// sortedTexts returns the distinct items in order, in a new slice.
func sortedTexts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
