package projections

import (
	"errors"
	"slices"

	"telemetry-pipeline/events"
)

// ParseHostWindow undoes AppendHostWindow. Bytes behind the model are an error. Columns may share Times.
func ParseHostWindow(src []byte) (HostWindow, error) {
	return ParseHostWindowOf(src, func(events.Entity, string) bool { return true })
}

// ParseHostWindowOf is ParseHostWindow for the columns for which keep returns true. The others are skipped, which
// costs a small part of reading them.
func ParseHostWindowOf(src []byte, keep func(e events.Entity, metric string) bool) (HostWindow, error) {
	s, err := OpenHostWindow(src)
	if err != nil {
		return HostWindow{}, err
	}
	return s.Columns(keep)
}

// StoredWindow is a window in its stored form, which decodes only the columns that are asked for. Safe for concurrent use.
type StoredWindow struct {
	src        []byte
	names      []string
	identities []WindowIdentity
	columns    []storedColumn
	bytes      int
}

// storedColumn is a column of which the samples are not decoded.
type storedColumn struct {
	Column     // with Times alone
	at     int // its samples in the source
}

// OpenHostWindow parses a model of AppendHostWindow but for the samples of its columns, which Columns decodes. The window
// refers to src, which must not be changed.
func OpenHostWindow(src []byte) (*StoredWindow, error) {
	r := reader{src: src}
	r.checkForm(seriesForm)
	p := seriesParser{reader: &r, names: r.readNames(), ticks: r.readTicks()}
	p.parseVectors()
	p.parseShapes()
	p.parseIdentities()
	p.parseGroups()
	s := &StoredWindow{src: src, names: p.names, identities: p.identities, columns: p.findColumns(len(src))}
	if err := r.finishModel("series"); err != nil {
		return nil, err
	}
	s.bytes = len(src) + 16*len(p.names) + 320*len(s.identities) + 144*len(s.columns)
	for _, times := range p.vectors {
		s.bytes += 8 * len(times)
	}
	return s, nil
}

// Bytes returns about how many bytes of memory the window takes, with its source.
func (s *StoredWindow) Bytes() int { return s.bytes }

// Columns returns the columns for which keep returns true. Windows of several calls share memory.
func (s *StoredWindow) Columns(keep func(e events.Entity, metric string) bool) (HostWindow, error) {
	var kept []storedColumn
	rows := 0
	for i := range s.columns {
		if c := &s.columns[i]; keep(c.Entity, c.Metric) {
			kept, rows = append(kept, *c), rows+len(c.Times)
		}
	}
	if len(kept) == 0 && len(s.columns) > 0 {
		return HostWindow{}, nil
	}
	r := reader{src: s.src}
	columns, room := make([]Column, len(kept)), make([]int64, rows)
	for i := range kept {
		c, n := &kept[i], len(kept[i].Times)
		r.src = s.src[c.at:]
		columns[i] = c.Column
		columns[i].Samples = r.readSamples(s.names, c.Times, room[:n:n])
		room = room[n:]
	}
	r.src = nil
	if err := r.finishModel("series"); err != nil {
		return HostWindow{}, err
	}
	whole := HostWindow{Identities: s.identities}
	if len(columns) == len(s.columns) {
		whole.Columns = columns
		return whole, nil
	}
	return whole.With(columns), nil
}

type seriesParser struct {
	*reader
	names   []string
	ticks   ticks
	vectors [][]events.Timestamp
	shapes  [][]shapeColumn
	groups  []parsedGroup

	identities []WindowIdentity
	labels     room[events.Label]
}

type shapeColumn struct {
	metric, source string
	times          []events.Timestamp
}

type parsedGroup struct {
	entity   events.Entity
	identity events.IdentityID
	columns  []shapeColumn
}

func (p *seriesParser) parseVectors() {
	p.vectors = make([][]events.Timestamp, p.readCount(2))
	for i := range p.vectors {
		times := make([]events.Timestamp, p.readCount(1))
		last := p.ticks.base
		for j := range times {
			times[j] = p.ticks.timeAfter(last, p.readUvarint())
			if j > 0 && times[j] < last {
				p.fail(errors.New("times not in order"))
			}
			last = times[j]
		}
		if len(times) == 0 {
			p.fail(errors.New("series without times"))
		}
		p.vectors[i] = times
	}
}

func (p *seriesParser) parseShapes() {
	p.shapes = make([][]shapeColumn, p.readCount(4))
	for i := range p.shapes {
		shape := make([]shapeColumn, p.readCount(3))
		for j := range shape {
			c := &shape[j]
			c.metric = p.readRef(p.names)
			c.source = p.readOptional(p.names, c.metric)
			if v := p.readIndex(len(p.vectors)); p.err == nil {
				c.times = p.vectors[v]
			}
		}
		p.shapes[i] = shape
	}
}

func (p *seriesParser) parseIdentities() {
	p.identities = make([]WindowIdentity, p.readCount(2))
	all := make([]events.Identity, len(p.identities))
	for i := range p.identities {
		p.parseIdentity(&all[i])
		p.identities[i] = WindowIdentity{ID: all[i].ID(), Identity: &all[i]}
		if i > 0 && p.err == nil && p.identities[i-1].ID >= p.identities[i].ID {
			p.fail(errors.New("identities not in order"))
		}
	}
}

func (p *seriesParser) parseIdentity(id *events.Identity) {
	set := p.readUvarint()
	if set >= 2*labelsBit {
		p.fail(errors.New("unknown identity field (a newer program may have written it)"))
	}
	for i, text := range identityFields(id) {
		if set&(1<<i) != 0 {
			*text = p.readRef(p.names)
		}
	}
	if set&labelsBit == 0 {
		return
	}
	n := p.readCount(2)
	if n == 0 {
		p.fail(errors.New("labels of none"))
		return
	}
	id.Labels = p.labels.take(n)
	for i := range id.Labels {
		id.Labels[i] = events.Label{Name: p.readRef(p.names), Value: p.readRef(p.names)}
	}
}

func (p *seriesParser) parseGroups() {
	const size = 4
	p.groups = make([]parsedGroup, p.readCount(size))
	for i := range p.groups {
		g := &p.groups[i]
		g.entity = events.Entity{GPU: events.GPUID(p.readRef(p.names)), Part: p.readOptional(p.names, "")}
		if i := p.readIndex(len(p.identities)); p.err == nil {
			g.identity = p.identities[i].ID
		}
		if s := p.readIndex(len(p.shapes)); p.err == nil {
			g.columns = p.shapes[s]
		}
	}
}

// findColumns passes over the columns of a source of so many bytes and returns them in order, with the place of their samples.
// It allocates memory once it has checked that the source is long enough: a row takes a byte, and a column one more.
func (p *seriesParser) findColumns(size int) []storedColumn {
	columns, rows := 0, 0
	for _, g := range p.groups {
		for _, c := range g.columns {
			columns, rows = columns+1, rows+len(c.times)
			if columns+rows > len(p.src) {
				p.fail(errShort)
				return nil
			}
		}
	}
	all := make([]storedColumn, 0, columns)
	for _, g := range p.groups {
		for _, c := range g.columns {
			n := len(c.times)
			one := storedColumn{at: size - len(p.src)}
			one.Entity, one.Metric, one.Source, one.Identity, one.Times = g.entity, c.metric, c.source, g.identity, c.times[:n:n]
			all = append(all, one)
			p.skipSamples(p.names, n)
		}
	}
	return p.inOrder(all)
}

// inOrder restores the order of columns, which groups of one entity break.
func (p *seriesParser) inOrder(columns []storedColumn) []storedColumn {
	byKey := func(a, b *storedColumn) int { return compareKey(&a.Column, &b.Column) }
	if isStrictlyAscending(columns, byKey) {
		return columns
	}
	slices.SortFunc(columns, func(a, b storedColumn) int { return byKey(&a, &b) })
	if !isStrictlyAscending(columns, byKey) {
		p.fail(errors.New("column is there twice"))
	}
	return columns
}
