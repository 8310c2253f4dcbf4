package events

import (
	"errors"
	"fmt"
)

func (c *Codec) decodeCompact(value []byte) (Event, error) {
	ev, err := c.readCompact(value)
	if err == nil {
		err = ev.Check()
	}
	if err != nil {
		return Event{}, fmt.Errorf("decoding event: %w", err)
	}
	return ev, nil
}

// readCompact reads what is behind the tag.
func (c *Codec) readCompact(value []byte) (Event, error) {
	r := reader{src: value}
	upload := UploadID(r.text())
	appended := Timestamp(r.varint())
	zone := r.text()
	var sequence ContentHash
	copy(sequence[:], r.bytes(uint64(len(sequence))))
	if r.err != nil {
		return Event{}, r.err
	}
	buf, _ := c.bodies.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer c.bodies.Put(buf)
	body, err := c.unzip.DecodeAll(r.src, (*buf)[:0])
	if err != nil {
		return Event{}, fmt.Errorf("uncompressing its body: %w", err)
	}
	if cap(body) <= 1<<20 {
		*buf = body
	}
	ev, err := readBody(body)
	ev.Upload, ev.AppendedAt, ev.Zone, ev.Sequence = upload, appended, zone, sequence
	return ev, err
}

// bodyReader reads a body. Nothing that it makes refers to the body's memory, and before memory is made
// for many things their number is checked against what is left of the body.
type bodyReader struct {
	reader
	texts   []string
	vectors [][]Timestamp
}

// readBody reads an uncompressed body. The result may break other invariants of an event.
func readBody(body []byte) (Event, error) {
	r := bodyReader{reader: reader{src: body}}
	r.readTexts()
	var ev Event
	ev.Host = HostID(r.ref())
	ev.Identities = r.identities()
	r.readVectors()
	ev.Columns = r.columns()
	if r.err == nil && len(r.src) > 0 {
		r.fail(errors.New("there is more behind the event"))
	}
	if r.err != nil {
		return Event{}, r.err
	}
	return ev, nil
}

// readTexts reads the table of texts into one piece of memory.
func (r *bodyReader) readTexts() {
	lengths := make([]int, r.count(1))
	total := 0
	for i := range lengths {
		lengths[i] = r.count(1)
		total += lengths[i]
	}
	all := string(r.bytes(uint64(total)))
	if r.err != nil {
		return
	}
	r.texts = make([]string, len(lengths))
	for i, n := range lengths {
		r.texts[i], all = all[:n], all[n:]
	}
}

// ref reads the number of a text.
func (r *bodyReader) ref() string { return r.lookup(r.uvarint()) }

func (r *bodyReader) lookup(n uint64) string {
	switch {
	case n == 0:
		return ""
	case n > uint64(len(r.texts)):
		r.fail(errors.New("it has a text of an unknown number"))
		return ""
	}
	return r.texts[n-1]
}

func (r *bodyReader) identities() []Identity {
	ids := make([]Identity, r.count(identityFields+1))
	for f := range identityFields {
		for i := range ids {
			*ids[i].fields()[f] = r.ref()
		}
	}
	for i := range ids {
		n := r.count(2)
		if n == 0 {
			continue
		}
		ids[i].Labels = make([]Label, n)
		for k := range ids[i].Labels {
			ids[i].Labels[k] = Label{Name: r.ref(), Value: r.ref()}
		}
	}
	return ids
}

func (r *bodyReader) readVectors() {
	r.vectors = make([][]Timestamp, r.count(3))
	for i := range r.vectors {
		r.vectors[i] = make([]Timestamp, r.count(1))
		r.times(r.vectors[i])
	}
}

func (r *bodyReader) columns() []Column {
	columns := make([]Column, r.count(6))
	flags := make([]byte, len(columns))
	rows := 0
	for i := range columns {
		c := &columns[i]
		c.Identity = int(r.uvarint())
		c.Metric = r.ref()
		if c.Source = c.Metric; r.peek() != 0 {
			c.Source = r.lookup(r.uvarint() - 1)
		} else {
			r.byte()
		}
		c.Times = r.vector()
		if flags[i] = r.byte(); flags[i] >= flagsEnd {
			r.fail(errors.New("it has a column of an unknown form"))
		}
		if flags[i]&flagExponents == 0 {
			c.Exponent = r.exponent()
		}
		rows += len(c.Times)
	}
	if rows > len(r.src) {
		r.fail(errTruncated)
	}
	if r.err != nil {
		return nil
	}
	all := make([]int64, rows)
	for i := range columns {
		n := len(columns[i].Times)
		columns[i].Mantissas, all = all[:n:n], all[n:]
		r.mantissas(columns[i].Mantissas)
	}
	for i := range columns {
		r.options(&columns[i].Samples, flags[i])
	}
	return columns
}

// peek is the next byte.
func (r *bodyReader) peek() byte {
	if len(r.src) == 0 {
		return 0
	}
	return r.src[0]
}

// vector reads the number of a time vector. The columns that have it share its memory.
func (r *bodyReader) vector() []Timestamp {
	n := r.uvarint()
	if n >= uint64(len(r.vectors)) {
		r.fail(errors.New("it has times of an unknown number"))
		return nil
	}
	return r.vectors[n]
}
