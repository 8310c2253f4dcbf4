package events

import (
	"errors"
	"fmt"
)

func (c *Codec) decodeCompact(tag byte, value []byte) (Event, error) {
	ev, err := c.readCompact(tag, value)
	if err == nil {
		err = ev.Check()
	}
	if err != nil {
		return Event{}, fmt.Errorf("decoding event: %w", err)
	}
	return ev, nil
}

// readCompact parses the value behind the tag.
func (c *Codec) readCompact(tag byte, value []byte) (Event, error) {
	r := reader{src: value}
	upload := UploadID(r.readText())
	appended := Timestamp(r.readVarint())
	zone := r.readText()
	var sequence ContentHash
	copy(sequence[:], r.readBytes(uint64(len(sequence))))
	if r.err != nil {
		return Event{}, r.err
	}
	from := readTrace(r.src)
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
	ev, err := c.readBody(tag, body)
	ev.Upload, ev.AppendedAt, ev.Zone, ev.Sequence, ev.Trace = upload, appended, zone, sequence, from
	return ev, err
}

// bodyReader parses a body. Its results do not refer to the body's memory. Before it allocates a list, it checks the
// stored length against the remaining bytes of the body.
type bodyReader struct {
	reader
	first      bool // the first form, tagFirstCompact
	vocabulary vocabulary
	texts      []string
	vectors    [][]Timestamp
}

// readBody parses an uncompressed body. The result may violate other invariants of an event.
func (c *Codec) readBody(tag byte, body []byte) (Event, error) {
	r := bodyReader{reader: reader{src: body}, first: tag == tagFirstCompact, vocabulary: c.vocabulary}
	if r.first {
		r.readPlainTexts()
	} else {
		r.readTexts()
	}
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

// readPlainTexts reads the table of texts of the first form into one allocation.
func (r *bodyReader) readPlainTexts() {
	lengths := make([]int, r.readCount(1))
	total := 0
	for i := range lengths {
		lengths[i] = r.readCount(1)
		total += lengths[i]
	}
	r.splitTexts(string(r.readBytes(uint64(total))), lengths)
}

// readTexts reads the table of texts into one allocation.
func (r *bodyReader) readTexts() {
	sizes := make([]int, r.readCount(1))
	stored, total := 0, 0
	for i := range sizes {
		sizes[i] = r.readCount(1)
		bytes, length := textSize(sizes[i])
		stored, total = stored+bytes, total+length
	}
	if stored > len(r.src) {
		r.setError(errTruncated)
		return
	}
	all := make([]byte, 0, total)
	for i, size := range sizes {
		start := len(all)
		if size >= UUIDKinds {
			all = append(all, r.readBytes(uint64(size-UUIDKinds+1))...)
		} else if uuid := r.readBytes(16); uuid != nil {
			all = AppendUUIDText(all, UUIDKind(size), uuid)
		}
		sizes[i] = len(all) - start
	}
	r.splitTexts(string(all), sizes)
}

// textSize returns how many bytes a text of the table takes there, by its size, and its length.
func textSize(size int) (stored, length int) {
	if size < UUIDKinds {
		return 16, uuidLength
	}
	return size - UUIDKinds + 1, size - UUIDKinds + 1
}

// splitTexts makes the table of texts of their bytes.
func (r *bodyReader) splitTexts(all string, lengths []int) {
	if r.err != nil {
		return
	}
	r.texts = make([]string, len(lengths))
	for i, n := range lengths {
		r.texts[i], all = all[:n], all[n:]
	}
}

// readRef reads a reference and returns its text.
func (r *bodyReader) readRef() string { return r.textAt(r.readUvarint()) }

func (r *bodyReader) textAt(n uint64) string {
	table := r.texts
	switch {
	case n == 0:
		return ""
	case r.first:
	case n%2 == 0:
		table, n = r.vocabulary.words, n/2
	default:
		n = n/2 + 1
	}
	if n > uint64(len(table)) {
		r.setError(errors.New("it has a text of an unknown number"))
		return ""
	}
	return table[n-1]
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
	columns := make([]Column, r.readCount(5))
	flags := make([]byte, len(columns))
	if r.first {
		r.readColumnByColumn(columns, flags)
	} else {
		r.readFieldByField(columns, flags)
	}
	rows := 0
	for i := range columns {
		rows += len(columns[i].Times)
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

// readColumnByColumn reads the columns' heads in the first form.
func (r *bodyReader) readColumnByColumn(columns []Column, flags []byte) {
	for i := range columns {
		c := &columns[i]
		c.Identity = int(r.readUvarint())
		c.Metric = r.readRef()
		c.Source = r.readSource(c.Metric)
		c.Times = r.readVector()
		flags[i] = r.readFlags()
		if flags[i]&flagExponents == 0 {
			c.Exponent = r.readExponent()
		}
	}
}

// readFieldByField reads the columns' heads.
func (r *bodyReader) readFieldByField(columns []Column, flags []byte) {
	identity := 0
	for i := range columns {
		identity += r.readCount(1)
		columns[i].Identity = identity
	}
	for i := range columns {
		columns[i].Metric = r.readRef()
	}
	for i := range columns {
		columns[i].Source = r.readSource(columns[i].Metric)
	}
	for i := range columns {
		columns[i].Times = r.readVector()
	}
	for i := range columns {
		flags[i] = r.readFlags()
	}
	for i := range columns {
		if flags[i]&flagExponents == 0 {
			columns[i].Exponent = r.readExponent()
		}
	}
}

// readSource reads the source's name of a metric.
func (r *bodyReader) readSource(metric string) string {
	if n := r.readUvarint(); n > 0 {
		return r.textAt(n - 1)
	}
	return metric
}

func (r *bodyReader) readFlags() byte {
	flags := r.readByte()
	if flags >= flagsEnd {
		r.setError(errors.New("it has a column of an unknown form"))
	}
	return flags
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
