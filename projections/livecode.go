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
	c.collectTables()
	dst = append(dst, liveForm)
	dst = c.names.appendTable(dst)
	dst = c.ticks.appendTicks(dst)
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

// collectTables notes strings and times, and sorts entities by shape.
func (c *liveCoder) collectTables() {
	c.ticks = ticksFrom(newestTime(c.live.Entities))
	for i := range c.live.Entities {
		e := &c.live.Entities[i]
		c.names.addName(string(e.Entity.GPU))
		c.names.addOptional(e.Entity.Part, "")
		c.ticks.fitUnit(e.SeenAt, c.ticks.base)
		for j := range e.Latest {
			l := &e.Latest[j]
			c.names.addName(l.Metric)
			c.names.addOptional(l.Source, l.Metric)
			c.names.addOptional(l.Value.Raw, "")
			c.ticks.fitUnit(l.At, c.ticks.base)
		}
		c.addToShape(i, e)
	}
	c.names.sortNames()
}

// addToShape finds or makes the shape of entity i.
func (c *liveCoder) addToShape(i int, e *LiveEntity) {
	for n, sh := range c.shapes {
		if sh.fitsEntity(e) {
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

func (sh *liveShape) fitsEntity(e *LiveEntity) bool {
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
			dst = binary.AppendUvarint(dst, c.names.refOf(m.name))
			dst = binary.AppendUvarint(dst, c.names.optionalRef(m.source, m.name))
		}
	}
	return dst
}

func (c *liveCoder) appendEntities(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.live.Entities)))
	for i := range c.live.Entities {
		e := &c.live.Entities[i]
		dst = binary.AppendUvarint(dst, c.names.refOf(string(e.Entity.GPU)))
		dst = binary.AppendUvarint(dst, c.names.optionalRef(e.Entity.Part, ""))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(e.Identity))
		shape := uint64(c.shapeOf[i]) << 1
		if len(e.Latest) > 0 && e.SeenAt == newestLatest(e.Latest) {
			dst = binary.AppendUvarint(dst, shape)
			continue
		}
		dst = binary.AppendUvarint(dst, shape|1)
		dst = binary.AppendUvarint(dst, c.ticks.ticksBetween(e.SeenAt, c.ticks.base))
	}
	return dst
}

// newestTime returns the newest time of any entity; 0 when there is none.
func newestTime(entities []LiveEntity) events.Timestamp {
	var at events.Timestamp
	for i := range entities {
		e := &entities[i]
		if i == 0 || e.SeenAt > at {
			at = e.SeenAt
		}
		if len(e.Latest) > 0 {
			at = max(at, newestLatest(e.Latest))
		}
	}
	return at
}

// newestLatest returns the newest time of readings, at least one.
func newestLatest(latest []Latest) events.Timestamp {
	at := latest[0].At
	for i := range latest {
		at = max(at, latest[i].At)
	}
	return at
}
