package projections

import (
	"encoding/binary"

	"telemetry-pipeline/events"
)

// The form of a live model, in columns: entities of one host mostly have the same metrics (their shape),
// and a metric's times and values are alike over the entities.
//
//	names · ticks (base: the newest time)
//	shapes: for each its metrics: metric, source (0: same name)
//	entities: GPU, part (0: none), identity (8 bytes), shape × 2 + (1 if its SeenAt follows)
//	for each shape and each of its metrics, over the entities of that shape: a cell column (livecell.go)
const liveForm = 1

// liveShape is a list of metrics with their source names, and the entities that have just these.
type liveShape struct {
	metrics  []shapeMetric
	entities []int
}

type shapeMetric struct{ name, source string }

// AppendLive writes l behind dst.
func AppendLive(dst []byte, l *Live) []byte {
	c := liveCoder{live: l}
	c.survey()
	dst = append(dst, liveForm)
	dst = c.names.append(dst)
	dst = c.ticks.append(dst)
	dst = c.appendShapes(dst)
	dst = c.appendEntities(dst)
	for _, sh := range c.shapes {
		for m := range sh.metrics {
			dst = c.appendCells(dst, sh, m)
		}
	}
	return dst
}

type liveCoder struct {
	live    *Live
	names   names
	ticks   ticks
	shapes  []*liveShape
	shapeOf []int // by entity
	cells   []*Latest
}

// survey notes strings and times, and sorts entities by shape.
func (c *liveCoder) survey() {
	c.ticks = ticksFrom(newest(c.live.Entities))
	for i := range c.live.Entities {
		e := &c.live.Entities[i]
		c.names.note(string(e.Entity.GPU))
		c.names.noteOptional(e.Entity.Part, "")
		c.ticks.fit(e.SeenAt, c.ticks.base)
		for j := range e.Latest {
			l := &e.Latest[j]
			c.names.note(l.Metric)
			c.names.noteOptional(l.Source, l.Metric)
			c.names.noteOptional(l.Value.Raw, "")
			c.ticks.fit(l.At, c.ticks.base)
		}
		c.shape(i, e)
	}
	c.names.seal()
}

// shape finds or makes the shape of entity i.
func (c *liveCoder) shape(i int, e *LiveEntity) {
	for n, sh := range c.shapes {
		if sh.fits(e) {
			sh.entities = append(sh.entities, i)
			c.shapeOf = append(c.shapeOf, n)
			return
		}
	}
	sh := &liveShape{entities: []int{i}}
	for _, l := range e.Latest {
		sh.metrics = append(sh.metrics, shapeMetric{name: l.Metric, source: l.Source})
	}
	c.shapeOf = append(c.shapeOf, len(c.shapes))
	c.shapes = append(c.shapes, sh)
}

func (sh *liveShape) fits(e *LiveEntity) bool {
	if len(sh.metrics) != len(e.Latest) {
		return false
	}
	for i, m := range sh.metrics {
		if l := &e.Latest[i]; l.Metric != m.name || l.Source != m.source {
			return false
		}
	}
	return true
}

func (c *liveCoder) appendShapes(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.shapes)))
	for _, sh := range c.shapes {
		dst = binary.AppendUvarint(dst, uint64(len(sh.metrics)))
		for _, m := range sh.metrics {
			dst = binary.AppendUvarint(dst, c.names.ref(m.name))
			dst = binary.AppendUvarint(dst, c.names.optional(m.source, m.name))
		}
	}
	return dst
}

func (c *liveCoder) appendEntities(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.live.Entities)))
	for i := range c.live.Entities {
		e := &c.live.Entities[i]
		dst = binary.AppendUvarint(dst, c.names.ref(string(e.Entity.GPU)))
		dst = binary.AppendUvarint(dst, c.names.optional(e.Entity.Part, ""))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Identity))
		shape := uint64(c.shapeOf[i]) << 1
		if len(e.Latest) > 0 && e.SeenAt == newestOf(e.Latest) {
			dst = binary.AppendUvarint(dst, shape)
			continue
		}
		dst = binary.AppendUvarint(dst, shape|1)
		dst = binary.AppendUvarint(dst, c.ticks.since(e.SeenAt, c.ticks.base))
	}
	return dst
}

// newest is the newest time of any entity; 0 when there is none.
func newest(entities []LiveEntity) events.Timestamp {
	var at events.Timestamp
	for i := range entities {
		e := &entities[i]
		if i == 0 || e.SeenAt > at {
			at = e.SeenAt
		}
		if len(e.Latest) > 0 {
			at = max(at, newestOf(e.Latest))
		}
	}
	return at
}

// newestOf is the newest time of readings, of which there is one at least.
func newestOf(latest []Latest) events.Timestamp {
	at := latest[0].At
	for i := range latest {
		at = max(at, latest[i].At)
	}
	return at
}
