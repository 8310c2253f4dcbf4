package events

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// The compact encoding of an event, after its tag. Numbers are varints, texts follow their length:
//
//	upload id, appended-at, zone, sequence (16 bytes); then, compressed by zstd, the body:
//	texts: count, the length of each, all texts
//	host
//	identities: count; each field for all of them; the labels of each
//	time vectors: count; for each its length and its times (samples_codec.go)
//	columns: count; for each its identity, metric, source (0: like the metric), time vector, flags, exponent
//	mantissas of all columns; exponents by row and absences, for columns that have them (samples_codec.go)
//
// A text is referenced by its number in the table of texts, from 1; 0 is "". The columns of one scrape share their
// times, so these are stored once. The upload id and appended-at are outside of the body, so that the body is a
// function of the content alone.

// compactWriter holds the memory of one encoding, for reuse by the next.
type compactWriter struct {
	body   []byte // without the table of texts
	output []byte // the table of texts, then body

	texts       []string
	textNumbers map[string]uint64

	vectors       [][]Timestamp
	vectorByHash  map[uint64]int // by hash of the vector
	columnVectors []int          // vector by column
}

func (c *Codec) encodeCompact(dst []byte, ev *Event) ([]byte, error) {
	if err := ev.Check(); err != nil {
		return dst, fmt.Errorf("encoding event: %w", err)
	}
	w, _ := c.writers.Get().(*compactWriter)
	if w == nil {
		w = &compactWriter{textNumbers: make(map[string]uint64), vectorByHash: make(map[uint64]int)}
	}
	defer func() {
		w.releaseEvent()
		c.writers.Put(w)
	}()
	body := w.appendBody(ev)
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

// releaseEvent drops all references to an event.
func (w *compactWriter) releaseEvent() {
	clear(w.texts)
	clear(w.vectors)
	clear(w.textNumbers)
	clear(w.vectorByHash)
	w.texts, w.vectors, w.columnVectors = w.texts[:0], w.vectors[:0], w.columnVectors[:0]
	if cap(w.output) > 1<<20 {
		w.body, w.output = nil, nil
	}
}

// appendBody returns the body, in memory that the next call overwrites.
func (w *compactWriter) appendBody(ev *Event) []byte {
	w.body = w.body[:0]
	w.writeRef(string(ev.Host))
	w.writeIdentities(ev.Identities)
	w.writeVectors(ev.Columns)
	w.writeColumns(ev.Columns)
	for i := range ev.Columns {
		w.body = ev.Columns[i].appendMantissas(w.body)
	}
	for i := range ev.Columns {
		w.body = ev.Columns[i].appendExponents(w.body)
		w.body = ev.Columns[i].appendAbsences(w.body)
	}
	w.output = binary.AppendUvarint(w.output[:0], uint64(len(w.texts)))
	for _, t := range w.texts {
		w.output = binary.AppendUvarint(w.output, uint64(len(t)))
	}
	for _, t := range w.texts {
		w.output = append(w.output, t...)
	}
	w.output = append(w.output, w.body...)
	return w.output
}

func (w *compactWriter) writeUint(v int) { w.body = binary.AppendUvarint(w.body, uint64(v)) }

// writeRef writes the number of a text.
func (w *compactWriter) writeRef(text string) {
	n, ok := w.textNumbers[text]
	if !ok && text != "" {
		w.texts = append(w.texts, text)
		n = uint64(len(w.texts))
		w.textNumbers[text] = n
	}
	w.body = binary.AppendUvarint(w.body, n)
}

func (w *compactWriter) writeIdentities(ids []Identity) {
	w.writeUint(len(ids))
	for f := range identityFields {
		for i := range ids {
			w.writeRef(*ids[i].fieldPointers()[f])
		}
	}
	for i := range ids {
		w.writeUint(len(ids[i].Labels))
		for _, l := range ids[i].Labels {
			w.writeRef(l.Name)
			w.writeRef(l.Value)
		}
	}
}

// writeVectors writes the time vectors and records the vector of each column.
func (w *compactWriter) writeVectors(columns []Column) {
	for i := range columns {
		w.columnVectors = append(w.columnVectors, w.vectorIndex(columns[i].Times))
	}
	w.writeUint(len(w.vectors))
	for _, v := range w.vectors {
		w.writeUint(len(v))
		w.body = appendTimes(w.body, v)
	}
}

// vectorIndex returns the index of a time vector, which it adds if it is new. If two vectors differ but have the same
// hash, the second is written again for each use.
func (w *compactWriter) vectorIndex(times []Timestamp) int {
	hash := uint64(len(times))
	for _, t := range times {
		hash = (hash ^ uint64(t)) * 0x9E3779B97F4A7C15
		hash ^= hash >> 29
	}
	if i, ok := w.vectorByHash[hash]; ok && slices.Equal(w.vectors[i], times) {
		return i
	}
	w.vectors = append(w.vectors, times)
	w.vectorByHash[hash] = len(w.vectors) - 1
	return len(w.vectors) - 1
}

func (w *compactWriter) writeColumns(columns []Column) {
	w.writeUint(len(columns))
	for i := range columns {
		c := &columns[i]
		w.writeUint(c.Identity)
		w.writeRef(c.Metric)
		w.writeSource(c)
		w.writeUint(w.columnVectors[i])
		w.body = append(w.body, c.codecFlags())
		if c.Exponents == nil {
			w.body = binary.AppendVarint(w.body, int64(c.Exponent))
		}
	}
}

// writeSource writes the number of the source's name plus one, or 0 if it equals the canonical name.
func (w *compactWriter) writeSource(c *Column) {
	if c.Source == c.Metric {
		w.writeUint(0)
		return
	}
	at := len(w.body)
	w.writeRef(c.Source)
	n, _ := binary.Uvarint(w.body[at:])
	w.body = binary.AppendUvarint(w.body[:at], n+1)
}
