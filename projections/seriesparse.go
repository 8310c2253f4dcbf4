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
	r := reader{src: src}
	r.checkForm(seriesForm)
	p := seriesParser{reader: &r, keep: keep, names: r.readNames(), ticks: r.readTicks()}
	p.parseVectors()
	p.parseShapes()
	p.parseIdentities()
	p.parseGroups()
	columns := p.parseColumns()
	if err := r.finishModel("series"); err != nil {
		return HostWindow{}, err
	}
	s := HostWindow{Columns: columns, Identities: p.identities}
	if len(columns) < p.columns {
		whole := HostWindow{Identities: p.identities}
		s = whole.With(columns)
	}
	return s, nil
}

type seriesParser struct {
	*reader
	keep    func(events.Entity, string) bool
	names   []string
	ticks   ticks
	vectors [][]events.Timestamp
	shapes  [][]shapeColumn
	groups  []parsedGroup

	identities []WindowIdentity
	labels     room[events.Label]
	columns    int // in all
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

// parseColumns allocates memory for the kept columns once it has checked that the source is long enough for all columns:
// a row takes a byte, and a column one more.
func (p *seriesParser) parseColumns() []Column {
	var all, kept struct{ columns, rows int }
	for _, g := range p.groups {
		for _, c := range g.columns {
			all.columns++
			all.rows += len(c.times)
			if p.keep(g.entity, c.metric) {
				kept.columns++
				kept.rows += len(c.times)
			}
			if all.columns+all.rows > len(p.src) {
				p.fail(errShort)
				return nil
			}
		}
	}
	p.columns = all.columns
	columns := make([]Column, 0, kept.columns)
	room := make([]int64, kept.rows)
	for _, g := range p.groups {
		for _, c := range g.columns {
			n := len(c.times)
			if !p.keep(g.entity, c.metric) {
				p.skipSamples(p.names, n)
				continue
			}
			columns = append(columns, Column{
				Entity: g.entity, Metric: c.metric, Source: c.source, Identity: g.identity,
				Samples: p.readSamples(p.names, c.times[:n:n], room[:n:n]),
			})
			room = room[n:]
		}
	}
	if len(columns) == 0 {
		return nil
	}
	return p.inOrder(columns)
}

// inOrder restores the order of columns, which groups of one entity break.
func (p *seriesParser) inOrder(columns []Column) []Column {
	if isStrictlyAscending(columns, compareKey) {
		return columns
	}
	slices.SortFunc(columns, func(a, b Column) int { return compareKey(&a, &b) })
	if !isStrictlyAscending(columns, compareKey) {
		p.fail(errors.New("column is there twice"))
	}
	return columns
}
