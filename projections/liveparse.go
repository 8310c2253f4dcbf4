package projections

import (
	"bytes"
	"errors"
	"strings"

	"telemetry-pipeline/events"
)

// ParseLive undoes AppendLive. Bytes behind the model are an error.
func ParseLive(src []byte) (Live, error) {
	r := reader{src: src}
	r.checkForm(liveForm)
	p := liveParser{reader: &r, names: r.readNames(), ticks: r.readTicks()}
	p.appended = events.Timestamp(r.readVarint())
	p.parseShapes()
	entities := p.parseEntities()
	p.parseCells()
	p.parseAhead(entities)
	for i := range entities {
		if e := &entities[i]; r.err == nil {
			p.finishTimes(e, &p.times[i])
		}
	}
	if err := r.finishModel("live"); err != nil {
		return Live{}, err
	}
	return Live{Entities: entities, Appended: p.appended}, nil
}

type liveParser struct {
	*reader
	names    []string
	ticks    ticks
	appended events.Timestamp
	shapes   []parsedShape
	times    []entityTimes // by entity
	cells    []*Latest

	said       room[Said]
	workloads  room[Workload]
	labels     []events.Label // that were read last, from these bytes
	labelBytes []byte
}

// entityTimes says which times of an entity are written. The others are its SeenAt.
type entityTimes struct {
	seen     bool
	said     uint8 // a bit for each of Said
	workload bool
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
	const size = 6
	entities := make([]LiveEntity, p.readCount(size))
	p.times = make([]entityTimes, len(entities))
	p.cells = make([]*Latest, 0, len(entities))
	p.workloads = roomFor[Workload](len(entities))
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
	for _, sh := range p.shapes {
		n := len(sh.metrics)
		if n == 0 {
			continue
		}
		for _, e := range sh.entities {
			e.Latest = make([]Latest, n) // each entity its own, which the views of its GPU share
			for j, m := range sh.metrics {
				e.Latest[j].Metric, e.Latest[j].Source = m.name, m.source
			}
		}
	}
	return entities
}

func (p *liveParser) parseEntity(i int, e *LiveEntity) {
	e.Entity = events.Entity{GPU: events.GPUID(p.readRef(p.names)), Part: p.readOptional(p.names, "")}
	shape := p.readIndex(2 * len(p.shapes))
	if p.err != nil {
		return
	}
	sh := &p.shapes[shape>>1]
	sh.entities = append(sh.entities, e)
	if p.times[i].seen = shape&1 != 0; p.times[i].seen {
		e.SeenAt = p.parseTime()
	}
	e.Appended = p.appended + events.Timestamp(p.readVarint())
	p.parseSaid(e, &p.times[i])
	p.parseWorkload(e, &p.times[i])
}

func (p *liveParser) parseTime() events.Timestamp {
	return p.ticks.timeBefore(p.ticks.base, p.readUvarint())
}

func (p *liveParser) parseSaid(e *LiveEntity, times *entityTimes) {
	n := p.readCount(2)
	if n > int(fieldCount) {
		p.fail(errors.New("more fields than there are"))
	}
	if n == 0 || p.err != nil {
		return
	}
	if p.said.size == 0 {
		p.said = roomFor[Said](n * len(p.times))
	}
	e.Said = p.said.take(n)
	for i := range e.Said {
		head := p.readIndex(2 * int(fieldCount))
		s := &e.Said[i]
		s.Field, s.Value = Field(head>>1), p.readRef(p.names)
		if head&1 != 0 {
			times.said |= 1 << i
			s.At = p.parseTime()
		}
	}
}

func (p *liveParser) parseWorkload(e *LiveEntity, times *entityTimes) {
	flags := p.readIndex(2 * workloadTime)
	if flags&hasWorkload == 0 {
		return
	}
	w := &p.workloads.take(1)[0]
	e.Workload = w
	if times.workload = flags&workloadTime != 0; times.workload {
		w.At = p.parseTime()
	}
	w.Metric = p.readRef(p.names)
	w.Source = p.readOptional(p.names, w.Metric)
	for _, text := range [...]*string{&w.Pod, &w.Namespace, &w.Container} {
		*text = p.readOptional(p.names, "")
	}
	w.Labels = p.parseLabels()
}

// parseLabels returns the labels that follow. Workloads one after the other with the same labels share them.
func (p *liveParser) parseLabels() []events.Label {
	if len(p.labelBytes) > 0 && bytes.HasPrefix(p.src, p.labelBytes) {
		p.src = p.src[len(p.labelBytes):]
		return p.labels
	}
	rest := p.src
	p.labels = nil
	if n := p.readCount(2); n > 0 {
		p.labels = make([]events.Label, n)
	}
	for i := range p.labels {
		p.labels[i] = events.Label{Name: p.readRef(p.names), Value: p.readRef(p.names)}
	}
	p.labelBytes = rest[:len(rest)-len(p.src)]
	return p.labels
}

// finishTimes sets the times that are not written.
func (p *liveParser) finishTimes(e *LiveEntity, times *entityTimes) {
	if !times.seen {
		e.SeenAt = e.newestLatest()
	}
	for i := range e.Said {
		if times.said&(1<<i) == 0 {
			e.Said[i].At = e.SeenAt
		}
	}
	if !times.workload && e.Workload != nil {
		e.Workload.At = e.SeenAt
	}
}

func (p *liveParser) parseCells() {
	for _, sh := range p.shapes {
		for m := range sh.metrics {
			if p.err != nil || len(sh.entities) == 0 {
				continue
			}
			p.cells = p.cells[:0]
			for _, e := range sh.entities {
				p.cells = append(p.cells, &e.Latest[m])
			}
			p.readCells(p.names, &p.ticks, p.cells)
		}
	}
}

func (p *liveParser) parseAhead(entities []LiveEntity) {
	const entitySize, readingSize = 2, 4
	last := -1
	for range p.readCount(entitySize) {
		i, n := p.readIndex(len(entities)), p.readCount(readingSize)
		if p.err == nil && (i <= last || n == 0) {
			p.fail(errors.New("readings ahead not in order"))
		}
		if p.err != nil {
			return
		}
		last = i
		ahead := make([]Latest, n)
		for j := range ahead {
			ahead[j].Metric = p.readRef(p.names)
			ahead[j].Source = p.readOptional(p.names, ahead[j].Metric)
			p.readCells(p.names, &p.ticks, []*Latest{&ahead[j]})
		}
		entities[i].Ahead = ahead
	}
}
