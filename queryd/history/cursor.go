package history

import (
	"encoding/base64"
	"encoding/binary"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Cursor is an opaque place between two entries; a page that starts there goes on exactly behind the last
// one. It also holds the range of its query, so that times relative to now do not move from page to page,
// and a digest of the filter.
type Cursor string

// cursor is what a Cursor says.
type cursor struct {
	after  projections.Place
	span   span
	digest uint64
}

const (
	cursorVersion = 1
	maxCursor     = 4 << 10
)

// token writes a cursor as text that needs no escaping in a URL.
func (c cursor) token() Cursor {
	b := []byte{cursorVersion}
	b = binary.BigEndian.AppendUint64(b, c.digest)
	b = binary.AppendVarint(b, int64(c.span.from))
	b = binary.AppendVarint(b, int64(c.span.to))
	b = binary.AppendVarint(b, int64(c.after.At))
	for _, s := range []string{string(c.after.Host), string(c.after.Entity.GPU), c.after.Entity.Part} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

// parse undoes token; whatever else it is given is ErrCursor.
func (c Cursor) parse() (cursor, error) {
	if len(c) > maxCursor {
		return cursor{}, ErrCursor
	}
	raw, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(raw) < 9 || raw[0] != cursorVersion {
		return cursor{}, ErrCursor
	}
	in := decoder{rest: raw[9:]}
	got := cursor{digest: binary.BigEndian.Uint64(raw[1:9])}
	got.span = span{from: in.time(), to: in.time()}
	got.after = projections.Place{
		At:     in.time(),
		Host:   events.HostID(in.text()),
		Entity: events.Entity{GPU: events.GPUID(in.text()), Part: in.text()},
	}
	if in.bad || len(in.rest) != 0 {
		return cursor{}, ErrCursor
	}
	return got, nil
}

// decoder reads a cursor's fields; after the first bad one everything is zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) time() events.Timestamp {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.bad, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[n:]
	return events.Timestamp(v)
}

func (d *decoder) text() string {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > uint64(len(d.rest)-n) {
		d.bad, d.rest = true, nil
		return ""
	}
	s := string(d.rest[n : n+int(v)])
	d.rest = d.rest[n+int(v):]
	return s
}

// place tells in which range a query reads and behind which position, nil at its start.
func place(q Query, sel *selection) (span, *projections.Place, error) {
	asked := spanOf(q)
	if q.Cursor == "" {
		return asked, nil, nil
	}
	c, err := q.Cursor.parse()
	if err != nil {
		return span{}, nil, err
	}
	if c.digest != sel.digest(q) || (!q.Moving && c.span != asked) {
		return span{}, nil, ErrCursor
	}
	return c.span, &c.after, nil
}
