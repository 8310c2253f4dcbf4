package events

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// The compact encoding of an event, after its tag. Numbers are varints, texts follow their length:
//
//	upload id, appended-at, zone, sequence (16 bytes); a trace context, if there is one (tracecontext.go); then, compressed by
//	zstd, the body:
//	texts: count; for each its length plus 1, or the kind of a UUID, which takes 16 bytes; all texts
//	host
//	identities: count; each field for all of them; the labels of each
//	time vectors: count; for each its length and its times (samples_codec.go)
//	columns: count; then for all of them the difference of the identity to the column before; the metric; the source (0: like
//	the metric); the time vector; the flags; the exponent, of columns that have one
//	mantissas of all columns; exponents by row and absences, for columns that have them (samples_codec.go)
//
// A reference is 0 for "", an odd number for a text of the table, an even one for a word of the vocabulary. Numbers of one kind are
// beside each other, since most GPUs of a host have the same metrics, and zstd finds what repeats. The columns of one scrape share
// their times, so these are stored once. The upload id, appended-at and the trace context are outside of the body, so that the
// body is a function of the content alone.
//
// The first form (tagFirstCompact) had each text as it is, references without a vocabulary, and the numbers of a column together.

// compactWriter holds the memory of one encoding, for reuse by the next.
type compactWriter struct {
	body   []byte // without the table of texts
	output []byte // the table of texts, then body

	vocabulary  vocabulary
	texts       []string
	textNumbers map[string]uint64 // references

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
		w = c.newWriter()
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
	dst = appendTrace(dst, ev.Trace)
	return c.zip.EncodeAll(body, dst), nil
}

func (c *Codec) newWriter() *compactWriter {
	return &compactWriter{vocabulary: c.vocabulary, textNumbers: make(map[string]uint64), vectorByHash: make(map[uint64]int)}
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
		if kind, ok := UUIDKindOf(t); ok {
			w.output = append(w.output, byte(kind))
		} else {
			w.output = binary.AppendUvarint(w.output, uint64(len(t)+UUIDKinds-1))
		}
	}
	for _, t := range w.texts {
		if _, ok := UUIDKindOf(t); ok {
			w.output = AppendUUID(w.output, t)
		} else {
			w.output = append(w.output, t...)
		}
	}
	w.output = append(w.output, w.body...)
	return w.output
}

func (w *compactWriter) writeUint(v int) { w.body = binary.AppendUvarint(w.body, uint64(v)) }

// writeRef writes the reference of a text.
func (w *compactWriter) writeRef(text string) {
	w.body = binary.AppendUvarint(w.body, w.refOf(text))
}

func (w *compactWriter) refOf(text string) uint64 {
	if text == "" {
		return 0
	}
	if n, ok := w.textNumbers[text]; ok {
		return n
	}
	n := w.vocabulary.refOf(text)
	if n == 0 {
		w.texts = append(w.texts, text)
		n = uint64(2*len(w.texts) - 1)
	}
	w.textNumbers[text] = n
	return n
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
	last := 0
	for i := range columns {
		w.writeUint(columns[i].Identity - last) // columns ascend by identity
		last = columns[i].Identity
	}
	for i := range columns {
		w.writeRef(columns[i].Metric)
	}
	for i := range columns {
		w.writeSource(&columns[i])
	}
	for i := range columns {
		w.writeUint(w.columnVectors[i])
	}
	for i := range columns {
		w.body = append(w.body, columns[i].codecFlags())
	}
	for i := range columns {
		if columns[i].Exponents == nil {
			w.body = binary.AppendVarint(w.body, int64(columns[i].Exponent))
		}
	}
}

// writeSource writes the reference of the source's name plus one, or 0 if it equals the canonical name.
func (w *compactWriter) writeSource(c *Column) {
	n := uint64(0)
	if c.Source != c.Metric {
		n = w.refOf(c.Source) + 1
	}
	w.body = binary.AppendUvarint(w.body, n)
}
