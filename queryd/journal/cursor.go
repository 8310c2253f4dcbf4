package journal

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// ErrCursor refuses a cursor that is not ours, or that belongs to a query with another filter or order, or to another
// log.
var ErrCursor = errors.New("cursor does not belong to this query; start again without it")

// Cursor is an opaque place between two events. Events that are appended between two pages are on none of them when the
// newest come first, and at the end when the oldest do.
type Cursor string

const (
	cursorVersion = 1
	maxCursor     = 8 << 10
)

// cursor writes where a query goes on: behind an event that was looked at.
func (q *Query) cursor(last events.Ref) Cursor {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, q.digest())
	b = binary.AppendUvarint(b, uint64(len(last.Key)))
	b = append(b, last.Key...)
	b = append(b, last.Revision.String()...)
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// last undoes cursor.
func (q *Query) last() (events.Ref, error) {
	if len(q.Cursor) > maxCursor {
		return events.Ref{}, ErrCursor
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(q.Cursor))
	if err != nil || len(raw) < 9 || raw[0] != cursorVersion || binary.BigEndian.Uint64(raw[1:9]) != q.digest() {
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

// digest tells queries apart whose cursors must not be mixed up. Limits are no part of it.
func (q *Query) digest() uint64 {
	h := fnv.New64a()
	write := func(texts ...string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(texts))))
		for _, s := range texts {
			h.Write(binary.AppendUvarint(nil, uint64(len(s))))
			h.Write([]byte(s))
		}
	}
	write(strings.Fields(q.flags())...)
	write(texts(q.Hosts)...)
	write(texts(q.GPUs)...)
	write(texts(q.Metrics)...)
	write(texts(q.Uploads)...)
	write(q.After.String(), q.Before.String())
	return h.Sum64()
}

// flags writes what of a query is no list.
func (q *Query) flags() string {
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

// texts gives a list sorted, in memory of its own.
func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
