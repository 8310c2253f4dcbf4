package projections

import (
	"errors"
	"strings"

	"telemetry-pipeline/events"
)

// ParseLive undoes AppendLive. Bytes behind the model are an error.
func ParseLive(src []byte) (Live, error) {
	r := reader{src: src}
	r.checkForm(liveForm)
	p := liveParser{reader: &r, names: r.readNames(), ticks: r.readTicks()}
	p.parseShapes()
	entities := p.parseEntities()
	p.parseCells()
	for i := range entities {
		if e := &entities[i]; r.err == nil && !p.explicit[i] && len(e.Latest) > 0 {
			e.SeenAt = newestLatest(e.Latest)
		}
	}
	if err := r.finishModel("live"); err != nil {
		return Live{}, err
	}
	return Live{Entities: entities}, nil
}

type liveParser struct {
	*reader
	names    []string
	ticks    ticks
	shapes   []parsedShape
	explicit []bool // by entity: its SeenAt is written
}

type parsedShape struct {
	metrics  []shapeMetric
	entities []*LiveEntity
}

func (p *liveParser) parseShapes() {
	p.shapes = make([]parsedShape, p.readCount(1))
	for i := range p.shapes {
		metrics := make([]shapeMetric, p.readCount(2))
		for j := range metrics {
			metrics[j].name = p.readRef(p.names)
			metrics[j].source = p.readOptional(p.names, metrics[j].name)
		}
		if !isStrictlyAscending(metrics, func(a, b *shapeMetric) int { return strings.Compare(a.name, b.name) }) {
			p.fail(errors.New("metrics not in order"))
		}
		p.shapes[i].metrics = metrics
	}
}

// parseEntities reads the entities, and makes room for their readings once it is sure that they can follow:
// each takes a byte.
func (p *liveParser) parseEntities() []LiveEntity {
	const size = 11
	entities := make([]LiveEntity, p.readCount(size))
	p.explicit = make([]bool, len(entities))
	for i := range entities {
		p.parseEntity(i, &entities[i])
	}
	cells := 0
	for _, sh := range p.shapes {
		cells += len(sh.entities) * len(sh.metrics)
	}
	switch {
	case cells > len(p.src):
		p.fail(errShort)
	case !isStrictlyAscending(entities, func(a, b *LiveEntity) int { return a.Entity.Compare(b.Entity) }):
		p.fail(errors.New("entities not in order"))
	}
	if p.err != nil {
		return nil
	}
	room := make([]Latest, cells)
	for _, sh := range p.shapes {
		n := len(sh.metrics)
		if n == 0 {
			continue
		}
		for _, e := range sh.entities {
			e.Latest, room = room[:n:n], room[n:]
			for j, m := range sh.metrics {
				e.Latest[j].Metric, e.Latest[j].Source = m.name, m.source
			}
		}
	}
	return entities
}

func (p *liveParser) parseEntity(i int, e *LiveEntity) {
	e.Entity = events.Entity{GPU: events.GPUID(p.readRef(p.names)), Part: p.readOptional(p.names, "")}
	e.Identity = events.IdentityID(p.readFixed64())
	shape := p.readIndex(2 * len(p.shapes))
	if p.err != nil {
		return
	}
	sh := &p.shapes[shape>>1]
	sh.entities = append(sh.entities, e)
	if p.explicit[i] = shape&1 != 0; p.explicit[i] {
		e.SeenAt = p.ticks.timeBefore(p.ticks.base, p.readUvarint())
	}
}

func (p *liveParser) parseCells() {
	for _, sh := range p.shapes {
		for m := range sh.metrics {
			if p.err == nil && len(sh.entities) > 0 {
				p.readCells(p.names, &p.ticks, sh.entities, m)
			}
		}
	}
}
