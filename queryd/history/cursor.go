package history

import (
	"encoding/base64"
	"encoding/binary"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// Cursor is an opaque position between two entries; a page that starts there continues exactly after the last one. It
// also holds the range of its query, so that times relative to now do not move between pages, and a digest of the
// filter.
type Cursor string

// cursor is the content of a Cursor.
type cursor struct {
	after  projections.Place
	times  timeRange
	digest uint64
}

const (
	cursorVersion = 1
	maxCursor     = 4 << 10
)

// encodeCursor returns a cursor as text that needs no escaping in a URL.
func (c cursor) encodeCursor() Cursor {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, c.digest)
	b = binary.AppendVarint(b, int64(c.times.from))
	b = binary.AppendVarint(b, int64(c.times.to))
	b = binary.AppendVarint(b, int64(c.after.At))
	for _, s := range []string{string(c.after.Host), string(c.after.Entity.GPU), c.after.Entity.Part} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// decodeCursor is the inverse of encodeCursor. It returns ErrCursor for any other text.
func (c Cursor) decodeCursor() (cursor, error) {
	if len(c) > maxCursor {
		return cursor{}, ErrCursor
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(raw) < 9 || raw[0] != cursorVersion {
		return cursor{}, ErrCursor
	}
	in := decoder{rest: raw[9:]}
	got := cursor{digest: binary.BigEndian.Uint64(raw[1:9])}
	got.times = timeRange{from: in.readTime(), to: in.readTime()}
	got.after = projections.Place{
		At:     in.readTime(),
		Host:   events.HostID(in.readText()),
		Entity: events.Entity{GPU: events.GPUID(in.readText()), Part: in.readText()},
	}
	if in.bad || len(in.rest) != 0 {
		return cursor{}, ErrCursor
	}
	return got, nil
}

// decoder reads a cursor's fields. After the first invalid field, it returns zero values.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) readTime() events.Timestamp {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return events.Timestamp(v)
}

func (d *decoder) readText() string {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > uint64(len(d.rest)-n) {
		d.bad, d.rest = true, nil
		return ""
	}
	s := string(d.rest[n : n+int(v)])
	d.rest = d.rest[n+int(v):]
	return s
}

// CursorAfter returns the position after a place in the answer to q in a view, as if a page had ended there. The place need not be
// one of the answer's. Like the pages, it refuses a q whose own cursor belongs to another query.
func CursorAfter(s *live.State, q Query, last projections.Place) (Cursor, error) {
	sel := newSelection(s, q)
	times, _, err := pageRange(q, sel)
	if err != nil {
		return "", err
	}
	return cursor{after: last, times: times, digest: sel.filterDigest(q)}.encodeCursor(), nil
}

// pageRange returns the range that a query reads, and the position after which its page starts, nil at the beginning.
func pageRange(q Query, sel *selection) (timeRange, *projections.Place, error) {
	asked := queryRange(q)
	if q.Cursor == "" {
		return asked, nil, nil
	}
	c, err := q.Cursor.decodeCursor()
	if err != nil {
		return timeRange{}, nil, err
	}
	if c.digest != sel.filterDigest(q) || (!q.Moving && c.times != asked) {
		return timeRange{}, nil, ErrCursor
	}
	return c.times, &c.after, nil
}
