package projections

import (
	"encoding/binary"
	"slices"

	"telemetry-pipeline/events"
)

// The form of a live model, in columns: entities of one host mostly have the same metrics (their shape),
// and a metric's times and values are alike over the entities.
//
//	names · ticks (base: the newest time) · Appended
//	shapes: for each its metrics: metric, source (0: same name)
//	entities: GPU, part (0: none), shape × 2 + (1 if its SeenAt follows), Appended less the model's,
//	    said: for each field × 2 + (1 if its time is not SeenAt and follows), value
//	    workload: flags; if hasWorkload: metric, source (0: same name), pod, namespace, container (0: none), labels
//	for each shape and each of its metrics, over the entities of that shape: a cell column (livecell.go)
//	entities with readings ahead: index, and for each reading metric, source, a cell column of one
//
// Form 1 had the identity of the newest record instead. The models of that time are made again from the log.
const liveForm = 2

// liveShape is a list of metrics with their source names, and the entities that have just these.
type liveShape struct {
	metrics  []shapeMetric
	entities []int
}

type shapeMetric struct{ name, source string }

// AppendLive writes l behind dst.
func (e *Encoder) AppendLive(dst []byte, l *Live) []byte {
	c := liveCoder{live: l, names: e.lend()}
	defer e.restore(&c.names)
	c.collectTables()
	dst = append(dst, liveForm)
	dst = c.names.appendTable(dst)
	dst = c.ticks.appendTicks(dst)
	dst = appendVarint(dst, int64(l.Appended))
	dst = c.appendShapes(dst)
	dst = c.appendEntities(dst)
	for _, sh := range c.shapes {
		for m := range sh.metrics {
			dst = c.appendCells(dst, sh, m)
		}
	}
	return c.appendAhead(dst)
}

type liveCoder struct {
	live    *Live
	names   names
	ticks   ticks
	noted   events.Timestamp // the last time that the ticks were fitted to
	shapes  []*liveShape
	byShape map[string]int // the later shapes
	shapeOf []int          // by entity
	key     []byte
	cells   []*Latest

	saidRefs  [fieldCount]lastRef
	metricRef lastRef        // of workloads
	labels    []events.Label // that were written last, in the bytes labelsAt
	labelsAt  struct{ from, to int }
}

// lastRef is the index of the name that was written last in one place. The next entity mostly has the same.
type lastRef struct {
	text string
	ref  uint64
}

func (l *lastRef) of(t *names, s string) uint64 {
	if l.text != s {
		l.text, l.ref = s, t.refOf(s)
	}
	return l.ref
}

// collectTables notes strings and times, and sorts entities by shape.
func (c *liveCoder) collectTables() {
	c.ticks = ticksFrom(newestTime(c.live.Entities))
	c.noted = c.ticks.base
	c.shapeOf = make([]int, 0, len(c.live.Entities))
	c.cells = make([]*Latest, 0, len(c.live.Entities))
	last := new(LiveEntity)
	for i := range c.live.Entities {
		e := &c.live.Entities[i]
		c.names.addName(string(e.Entity.GPU))
		c.names.addOptional(e.Entity.Part, "")
		c.noteTime(e.SeenAt)
		c.collectSaid(e, last.Said)
		if e.Workload != nil {
			c.collectWorkload(e.Workload, last.Workload)
		}
		isNew := c.addToShape(i, e)
		c.collectReadings(e.Latest, isNew)
		c.collectReadings(e.Ahead, true)
		last = e
	}
	c.names.sortNames()
}

func (c *liveCoder) noteTime(at events.Timestamp) {
	if at != c.noted {
		c.noted = at
		c.ticks.fitUnit(at, c.ticks.base)
	}
}

// collectSaid notes fields; the values that the last entity has too are noted already, and so is the GPU.
func (c *liveCoder) collectSaid(e *LiveEntity, last []Said) {
	for j, s := range e.Said {
		if s.Value != string(e.Entity.GPU) && (j >= len(last) || last[j].Value != s.Value) {
			c.names.addName(s.Value)
		}
		c.noteTime(s.At)
	}
}

// collectWorkload notes a workload; the names that the last entity has too are noted already.
func (c *liveCoder) collectWorkload(w, last *Workload) {
	c.noteTime(w.At)
	if last == nil {
		last = new(Workload)
	}
	if w.Metric != last.Metric || w.Source != last.Source || last.Metric == "" {
		c.names.addName(w.Metric)
		c.names.addOptional(w.Source, w.Metric)
	}
	for _, text := range [...]string{w.Pod, w.Namespace, w.Container} {
		c.names.addOptional(text, "")
	}
	if slices.Equal(w.Labels, last.Labels) {
		return
	}
	for _, l := range w.Labels {
		c.names.addName(l.Name)
		c.names.addName(l.Value)
	}
}

// collectReadings notes readings, and their metrics if they may be new.
func (c *liveCoder) collectReadings(latest []Latest, newMetrics bool) {
	for j := range latest {
		l := &latest[j]
		if newMetrics {
			c.names.addName(l.Metric)
			c.names.addOptional(l.Source, l.Metric)
		}
		c.names.addOptional(l.Value.Raw, "")
		c.noteTime(l.At)
	}
}

// addToShape finds or makes the shape of entity i, and reports whether it is new.
func (c *liveCoder) addToShape(i int, e *LiveEntity) (isNew bool) {
	if n := len(c.shapes) - 1; n >= 0 && c.shapes[n].fitsEntity(e) {
		c.shapes[n].entities = append(c.shapes[n].entities, i)
		c.shapeOf = append(c.shapeOf, n)
		return false
	}
	n := c.findShape(e)
	if isNew = n == len(c.shapes); isNew {
		sh := &liveShape{metrics: make([]shapeMetric, len(e.Latest)), entities: make([]int, 0, min(len(c.live.Entities)-i, 16))}
		for j := range e.Latest {
			sh.metrics[j] = shapeMetric{name: e.Latest[j].Metric, source: e.Latest[j].Source}
		}
		c.shapes = append(c.shapes, sh)
	}
	c.shapes[n].entities = append(c.shapes[n].entities, i)
	c.shapeOf = append(c.shapeOf, n)
	return isNew
}

// firstShapes is how many shapes are compared one by one, mostly all.
const firstShapes = 4

// findShape returns the shape of an entity, or the next one.
func (c *liveCoder) findShape(e *LiveEntity) int {
	first := min(len(c.shapes), firstShapes)
	if n := slices.IndexFunc(c.shapes[:first], func(sh *liveShape) bool { return sh.fitsEntity(e) }); n >= 0 {
		return n
	}
	if first < firstShapes {
		return first
	}
	c.key = c.key[:0]
	for j := range e.Latest {
		for _, text := range [...]string{e.Latest[j].Metric, e.Latest[j].Source} {
			c.key = append(binary.AppendUvarint(c.key, uint64(len(text))), text...)
		}
	}
	n, ok := c.byShape[string(c.key)]
	if !ok {
		if c.byShape == nil {
			c.byShape = make(map[string]int)
		}
		n = len(c.shapes)
		c.byShape[string(c.key)] = n
	}
	return n
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
		gpu := c.saidRefs[FieldUUID].of(&c.names, string(e.Entity.GPU)) // mostly it is the UUID
		dst = binary.AppendUvarint(dst, gpu)
		dst = binary.AppendUvarint(dst, c.names.optionalRef(e.Entity.Part, ""))
		shape := uint64(c.shapeOf[i]) << 1
		if e.SeenAt == e.newestLatest() {
			dst = binary.AppendUvarint(dst, shape)
		} else {
			dst = binary.AppendUvarint(dst, shape|1)
			dst = c.appendTime(dst, e.SeenAt)
		}
		dst = appendVarint(dst, int64(e.Appended-c.live.Appended))
		dst = c.appendSaid(dst, e)
		dst = c.appendWorkload(dst, e)
	}
	return dst
}

func (c *liveCoder) appendTime(dst []byte, at events.Timestamp) []byte {
	return binary.AppendUvarint(dst, c.ticks.ticksBetween(at, c.ticks.base))
}

func (c *liveCoder) appendSaid(dst []byte, e *LiveEntity) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.Said)))
	for _, s := range e.Said {
		other := s.At != e.SeenAt
		head := byte(s.Field) << 1
		if other {
			head |= 1
		}
		dst = append(dst, head)
		dst = binary.AppendUvarint(dst, c.saidRefs[s.Field].of(&c.names, s.Value))
		if other {
			dst = c.appendTime(dst, s.At)
		}
	}
	return dst
}

// The flags of a workload.
const (
	hasWorkload  = 1 << iota
	workloadTime // it is not of SeenAt; its time follows
)

func (c *liveCoder) appendWorkload(dst []byte, e *LiveEntity) []byte {
	w := e.Workload
	if w == nil {
		return append(dst, 0)
	}
	if w.At == e.SeenAt {
		dst = append(dst, hasWorkload)
	} else {
		dst = c.appendTime(append(dst, hasWorkload|workloadTime), w.At)
	}
	dst = binary.AppendUvarint(dst, c.metricRef.of(&c.names, w.Metric))
	dst = binary.AppendUvarint(dst, c.names.optionalRef(w.Source, w.Metric))
	for _, text := range [...]string{w.Pod, w.Namespace, w.Container} {
		dst = binary.AppendUvarint(dst, c.names.optionalRef(text, ""))
	}
	return c.appendLabels(dst, w.Labels)
}

// appendLabels writes labels; the ones that were written last are copied.
func (c *liveCoder) appendLabels(dst []byte, labels []events.Label) []byte {
	if c.labels != nil && slices.Equal(labels, c.labels) {
		return append(dst, dst[c.labelsAt.from:c.labelsAt.to]...)
	}
	c.labels, c.labelsAt.from = labels, len(dst)
	dst = binary.AppendUvarint(dst, uint64(len(labels)))
	for _, l := range labels {
		dst = binary.AppendUvarint(dst, c.names.refOf(l.Name))
		dst = binary.AppendUvarint(dst, c.names.refOf(l.Value))
	}
	c.labelsAt.to = len(dst)
	return dst
}

// appendAhead writes the readings ahead, of which there are mostly none.
func (c *liveCoder) appendAhead(dst []byte) []byte {
	count := 0
	for i := range c.live.Entities {
		if len(c.live.Entities[i].Ahead) > 0 {
			count++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(count))
	for i := range c.live.Entities {
		ahead := c.live.Entities[i].Ahead
		if len(ahead) == 0 {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(i))
		dst = binary.AppendUvarint(dst, uint64(len(ahead)))
		for j := range ahead {
			dst = binary.AppendUvarint(dst, c.names.refOf(ahead[j].Metric))
			dst = binary.AppendUvarint(dst, c.names.optionalRef(ahead[j].Source, ahead[j].Metric))
			c.cells = append(c.cells[:0], &ahead[j])
			dst = c.appendCellColumn(dst)
		}
	}
	return dst
}

// newestTime returns the newest time of any entity or reading; 0 when there is none.
func newestTime(entities []LiveEntity) events.Timestamp {
	var at events.Timestamp
	for i := range entities {
		e := &entities[i]
		if i == 0 {
			at = e.SeenAt
		}
		at = max(at, e.SeenAt, e.newestFolded())
		for _, s := range e.Said {
			at = max(at, s.At)
		}
		if e.Workload != nil {
			at = max(at, e.Workload.At)
		}
	}
	return at
}

// newestLatest returns the newest time of the entity's latest readings, 0 without any.
func (e *LiveEntity) newestLatest() events.Timestamp {
	if len(e.Latest) == 0 {
		return 0
	}
	return newestLatest(e.Latest)
}

// newestLatest returns the newest time of readings, at least one.
func newestLatest(latest []Latest) events.Timestamp {
	at := latest[0].At
	for i := range latest {
		at = max(at, latest[i].At)
	}
	return at
}
