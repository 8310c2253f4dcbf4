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

// readCompact parses the value behind the tag.
func (c *Codec) readCompact(value []byte) (Event, error) {
	r := reader{src: value}
	upload := UploadID(r.readText())
	appended := Timestamp(r.readVarint())
	zone := r.readText()
	var sequence ContentHash
	copy(sequence[:], r.readBytes(uint64(len(sequence))))
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

// bodyReader parses a body. Its results do not refer to the body's memory. Before it allocates a list, it checks the
// stored length against the remaining bytes of the body.
type bodyReader struct {
	reader
	texts   []string
	vectors [][]Timestamp
}

// readBody parses an uncompressed body. The result may violate other invariants of an event.
func readBody(body []byte) (Event, error) {
	r := bodyReader{reader: reader{src: body}}
	r.readTexts()
	var ev Event
	ev.Host = HostID(r.readRef())
	ev.Identities = r.readIdentities()
	r.readVectors()
	ev.Columns = r.readColumns()
	if r.err == nil && len(r.src) > 0 {
		r.setError(errors.New("there is more behind the event"))
	}
	if r.err != nil {
		return Event{}, r.err
	}
	return ev, nil
}

// readTexts reads the table of texts into one allocation.
func (r *bodyReader) readTexts() {
	lengths := make([]int, r.readCount(1))
	total := 0
	for i := range lengths {
		lengths[i] = r.readCount(1)
		total += lengths[i]
	}
	all := string(r.readBytes(uint64(total)))
	if r.err != nil {
		return
	}
	r.texts = make([]string, len(lengths))
	for i, n := range lengths {
		r.texts[i], all = all[:n], all[n:]
	}
}

// readRef reads the number of a text and returns the text.
func (r *bodyReader) readRef() string { return r.textAt(r.readUvarint()) }

func (r *bodyReader) textAt(n uint64) string {
	switch {
	case n == 0:
		return ""
	case n > uint64(len(r.texts)):
		r.setError(errors.New("it has a text of an unknown number"))
		return ""
	}
	return r.texts[n-1]
}

func (r *bodyReader) readIdentities() []Identity {
	ids := make([]Identity, r.readCount(identityFields+1))
	for f := range identityFields {
		for i := range ids {
			*ids[i].fieldPointers()[f] = r.readRef()
		}
	}
	for i := range ids {
		n := r.readCount(2)
		if n == 0 {
			continue
		}
		ids[i].Labels = make([]Label, n)
		for k := range ids[i].Labels {
			ids[i].Labels[k] = Label{Name: r.readRef(), Value: r.readRef()}
		}
	}
	return ids
}

func (r *bodyReader) readVectors() {
	r.vectors = make([][]Timestamp, r.readCount(3))
	for i := range r.vectors {
		r.vectors[i] = make([]Timestamp, r.readCount(1))
		r.readTimes(r.vectors[i])
	}
}

func (r *bodyReader) readColumns() []Column {
	columns := make([]Column, r.readCount(6))
	flags := make([]byte, len(columns))
	rows := 0
	for i := range columns {
		c := &columns[i]
		c.Identity = int(r.readUvarint())
		c.Metric = r.readRef()
		if c.Source = c.Metric; r.peekByte() != 0 {
			c.Source = r.textAt(r.readUvarint() - 1)
		} else {
			r.readByte()
		}
		c.Times = r.readVector()
		if flags[i] = r.readByte(); flags[i] >= flagsEnd {
			r.setError(errors.New("it has a column of an unknown form"))
		}
		if flags[i]&flagExponents == 0 {
			c.Exponent = r.readExponent()
		}
		rows += len(c.Times)
	}
	if rows > len(r.src) {
		r.setError(errTruncated)
	}
	if r.err != nil {
		return nil
	}
	all := make([]int64, rows)
	for i := range columns {
		n := len(columns[i].Times)
		columns[i].Mantissas, all = all[:n:n], all[n:]
		r.readMantissas(columns[i].Mantissas)
	}
	for i := range columns {
		r.readOptional(&columns[i].Samples, flags[i])
	}
	return columns
}

// peekByte returns the next byte without consuming it.
func (r *bodyReader) peekByte() byte {
	if len(r.src) == 0 {
		return 0
	}
	return r.src[0]
}

// readVector reads the number of a time vector. The columns of one vector share its memory.
func (r *bodyReader) readVector() []Timestamp {
	n := r.readUvarint()
	if n >= uint64(len(r.vectors)) {
		r.setError(errors.New("it has times of an unknown number"))
		return nil
	}
	return r.vectors[n]
}
