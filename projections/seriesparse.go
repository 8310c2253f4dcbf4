package projections

import (
	"errors"
	"slices"

	"telemetry-pipeline/events"
)

// ParseSeries undoes AppendSeries. Bytes behind the model are an error. Columns may share Times.
func ParseSeries(src []byte) (Series, error) {
	r := reader{src: src}
	r.form(seriesForm)
	p := seriesParser{reader: &r, names: r.names(), ticks: r.ticks()}
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

// parseColumns makes room for all columns once it is sure that they can follow: a row takes a byte, and a column one more.
func (p *seriesParser) parseColumns() []Column {
	count, rows := 0, 0
	for _, g := range p.groups {
		for _, c := range g.columns {
			count++
			rows += len(c.times)
		}
		if count+rows > len(p.src) {
			p.fail(errShort)
			return nil
		}
	}
	if count == 0 {
		return nil
	}
	columns := make([]Column, 0, count)
	room := make([]int64, rows)
	for _, g := range p.groups {
		for _, c := range g.columns {
			n := len(c.times)
			columns = append(columns, Column{
				Entity: g.entity, Metric: c.metric, Source: c.source, Identity: g.identity,
				Samples: p.samples(p.names, c.times[:n:n], room[:n:n]),
			})
			room = room[n:]
		}
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
