package projections

import (
	"errors"
	"slices"

	"telemetry-pipeline/events"
)

// ParseSeries undoes AppendSeries. Bytes behind the model are an error. Columns may share Times.
func ParseSeries(src []byte) (Series, error) {
	return ParseSeriesOf(src, func(events.Entity, string) bool { return true })
}

// ParseSeriesOf is ParseSeries for the columns that keep tells to keep. The others are passed over, which
// costs a small part of reading them.
func ParseSeriesOf(src []byte, keep func(e events.Entity, metric string) bool) (Series, error) {
	r := reader{src: src}
	r.form(seriesForm)
	p := seriesParser{reader: &r, keep: keep, names: r.names(), ticks: r.ticks()}
	p.parseVectors()
	p.parseShapes()
	p.parseGroups()
	columns := p.parseColumns()
	if err := r.end("series"); err != nil {
		return Series{}, err
	}
	return Series{Columns: columns}, nil
}

type seriesParser struct {
	*reader
	keep    func(events.Entity, string) bool
	names   []string
	ticks   ticks
	vectors [][]events.Timestamp
	shapes  [][]shapeColumn
	groups  []parsedGroup
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
	p.vectors = make([][]events.Timestamp, p.count(2))
	for i := range p.vectors {
		times := make([]events.Timestamp, p.count(1))
		last := p.ticks.base
		for j := range times {
			times[j] = p.ticks.after(last, p.uvarint())
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
	p.shapes = make([][]shapeColumn, p.count(4))
	for i := range p.shapes {
		shape := make([]shapeColumn, p.count(3))
		for j := range shape {
			c := &shape[j]
			c.metric = p.ref(p.names)
			c.source = p.optional(p.names, c.metric)
			if v := p.index(len(p.vectors)); p.err == nil {
				c.times = p.vectors[v]
			}
		}
		p.shapes[i] = shape
	}
}

func (p *seriesParser) parseGroups() {
	const size = 11
	p.groups = make([]parsedGroup, p.count(size))
	for i := range p.groups {
		g := &p.groups[i]
		g.entity = events.Entity{GPU: events.GPUID(p.ref(p.names)), Part: p.optional(p.names, "")}
		g.identity = events.IdentityID(p.fixed64())
		if s := p.index(len(p.shapes)); p.err == nil {
			g.columns = p.shapes[s]
		}
	}
}

// parseColumns makes room for what is kept once it is sure that all columns can follow: a row takes a byte,
// and a column one more.
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
				Samples: p.samples(p.names, c.times[:n:n], room[:n:n]),
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
	if strictly(columns, compareKey) {
		return columns
	}
	slices.SortFunc(columns, func(a, b Column) int { return compareKey(&a, &b) })
	if !strictly(columns, compareKey) {
		p.fail(errors.New("column given twice"))
	}
	return columns
}
