package events

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// The compact encoding of an event, behind its tag. Numbers are varints, texts have their length before them:
//
//	upload id, appended-at, zone, sequence (16 bytes); then, compressed by zstd, the body:
//	texts: how many, the length of each, all of them
//	host
//	identities: how many; each field for all of them; the labels of each
//	time vectors: how many; for each its length and its times (samples_codec.go)
//	columns: how many; for each its identity, metric, source (0: like the metric), time vector, flags, exponent
//	mantissas of all columns; exponents by row and absences of those that have them (samples_codec.go)
//
// A name is written as its number among the texts, from 1; 0 is "". The columns of one scrape share their
// times, so these are there once. What travels along (upload id, appended-at) is outside of the body, and
// the body a function of the content alone.

// compactWriter is the memory that one encoding needs and the next can use again.
type compactWriter struct {
	body  []byte // without the texts
	whole []byte // the texts, then body

	texts   []string
	numbers map[string]uint64

	vectors [][]Timestamp
	found   map[uint64]int // by hash of the vector
	used    []int          // vector by column
}

func (c *Codec) encodeCompact(dst []byte, ev *Event) ([]byte, error) {
	if err := ev.Check(); err != nil {
		return dst, fmt.Errorf("encoding event: %w", err)
	}
	w, _ := c.writers.Get().(*compactWriter)
	if w == nil {
		w = &compactWriter{numbers: make(map[string]uint64), found: make(map[uint64]int)}
	}
	defer func() {
		w.reset()
		c.writers.Put(w)
	}()
	body := w.write(ev)
	if len(body) > MaxBody {
		return dst, fmt.Errorf("encoding event of host %.64q: its %d records take %d bytes, more than %d; cut it smaller",
			ev.Host, ev.Records(), len(body), MaxBody)
	}
	dst = append(dst, tagCompact)
	dst = appendText(dst, string(ev.Upload))
	dst = binary.AppendVarint(dst, int64(ev.AppendedAt))
	dst = appendText(dst, ev.Zone)
	dst = append(dst, ev.Sequence[:]...)
	return c.zip.EncodeAll(body, dst), nil
}

// reset drops what refers to an event.
func (w *compactWriter) reset() {
	clear(w.texts)
	clear(w.vectors)
	clear(w.numbers)
	clear(w.found)
	w.texts, w.vectors, w.used = w.texts[:0], w.vectors[:0], w.used[:0]
	if cap(w.whole) > 1<<20 {
		w.body, w.whole = nil, nil
	}
}

// write gives the body, in memory that the next one overwrites.
func (w *compactWriter) write(ev *Event) []byte {
	w.body = w.body[:0]
	w.ref(string(ev.Host))
	w.identities(ev.Identities)
	w.times(ev.Columns)
	w.columns(ev.Columns)
	for i := range ev.Columns {
		w.body = ev.Columns[i].appendMantissas(w.body)
	}
	for i := range ev.Columns {
		w.body = ev.Columns[i].appendExponents(w.body)
		w.body = ev.Columns[i].appendAbsences(w.body)
	}
	w.whole = binary.AppendUvarint(w.whole[:0], uint64(len(w.texts)))
	for _, t := range w.texts {
		w.whole = binary.AppendUvarint(w.whole, uint64(len(t)))
	}
	for _, t := range w.texts {
		w.whole = append(w.whole, t...)
	}
	w.whole = append(w.whole, w.body...)
	return w.whole
}

func (w *compactWriter) number(v int) { w.body = binary.AppendUvarint(w.body, uint64(v)) }

// ref writes a text as its number.
func (w *compactWriter) ref(text string) {
	n, ok := w.numbers[text]
	if !ok && text != "" {
		w.texts = append(w.texts, text)
		n = uint64(len(w.texts))
		w.numbers[text] = n
	}
	w.body = binary.AppendUvarint(w.body, n)
}

func (w *compactWriter) identities(ids []Identity) {
	w.number(len(ids))
	for f := range identityFields {
		for i := range ids {
			w.ref(*ids[i].fields()[f])
		}
	}
	for i := range ids {
		w.number(len(ids[i].Labels))
		for _, l := range ids[i].Labels {
			w.ref(l.Name)
			w.ref(l.Value)
		}
	}
}

// times writes the time vectors and notes which is whose.
func (w *compactWriter) times(columns []Column) {
	for i := range columns {
		w.used = append(w.used, w.vector(columns[i].Times))
	}
	w.number(len(w.vectors))
	for _, v := range w.vectors {
		w.number(len(v))
		w.body = appendTimes(w.body, v)
	}
}

// vector finds a time vector that was there before, or adds it. (Should two differ and hash alike, the second
// is written again where it is used.)
func (w *compactWriter) vector(times []Timestamp) int {
	hash := uint64(len(times))
	for _, t := range times {
		hash = (hash ^ uint64(t)) * 0x9E3779B97F4A7C15
		hash ^= hash >> 29
	}
	if i, ok := w.found[hash]; ok && slices.Equal(w.vectors[i], times) {
		return i
	}
	w.vectors = append(w.vectors, times)
	w.found[hash] = len(w.vectors) - 1
	return len(w.vectors) - 1
}

func (w *compactWriter) columns(columns []Column) {
	w.number(len(columns))
	for i := range columns {
		c := &columns[i]
		w.number(c.Identity)
		w.ref(c.Metric)
		w.source(c)
		w.number(w.used[i])
		w.body = append(w.body, c.flags())
		if c.Exponents == nil {
			w.body = binary.AppendVarint(w.body, int64(c.Exponent))
		}
	}
}

// source writes the number of the source's name plus one, or 0 where it is the canonical one.
func (w *compactWriter) source(c *Column) {
	if c.Source == c.Metric {
		w.number(0)
		return
	}
	at := len(w.body)
	w.ref(c.Source)
	n, _ := binary.Uvarint(w.body[at:])
	w.body = binary.AppendUvarint(w.body[:at], n+1)
}
