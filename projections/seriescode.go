package projections

import (
	"cmp"
	"encoding/binary"
	"slices"

	"telemetry-pipeline/events"
)

// The form of a series model. One scrape reads many metrics at once, so columns share their times (a vector
// each) and entities share their list of columns (a shape):
//
//	names · ticks (base: the earliest time)
//	vectors: count of times; the first's distance from the base, then from one to the next
//	shapes: for each its columns: metric, source (0: same name), vector
//	identities, sorted by ID: a bit for each field that is set (in the order of identityFields, then one for labels), a
//	    name for each of them; with labels their count, then name and value of each
//	groups, sorted by (entity, identity): GPU, part (0: none), identity, shape
//	for each group and each column of its shape: a sample column (seriescell.go)
//
// Form 1 had the IDs of identities alone, and their content was in the host's identity model.
const seriesForm = 2

// labelsBit says that labels follow the fields.
const labelsBit = 1 << len([12]*string{})

// AppendHostWindow writes s behind dst.
func (e *Encoder) AppendHostWindow(dst []byte, s *HostWindow) []byte {
	c := seriesCoder{series: s, names: e.lend()}
	defer e.restore(&c.names)
	c.collectTables()
	dst = append(dst, seriesForm)
	dst = c.names.appendTable(dst)
	dst = c.ticks.appendTicks(dst)
	dst = c.appendVectors(dst)
	dst = c.appendShapes(dst)
	dst = c.appendIdentities(dst)
	dst = c.appendGroups(dst)
	for _, g := range c.groups {
		for _, col := range g.columns {
			dst = c.appendSamples(dst, &s.Columns[col])
		}
	}
	return dst
}

type seriesCoder struct {
	series   *HostWindow
	names    names
	ticks    ticks
	vectors  [][]events.Timestamp
	vectorOf []int // by column
	groups   []seriesGroup
	shapes   [][]int // columns of the first group of each shape
	byShape  map[string]int
	key      []byte
}

// seriesGroup is the columns of one entity under one identity.
type seriesGroup struct {
	columns []int
	shape   int
}

func (c *seriesCoder) collectTables() {
	c.collectVectors()
	c.collectGroups()
	for _, g := range c.groups {
		col := &c.series.Columns[g.columns[0]]
		c.names.addName(string(col.Entity.GPU))
		c.names.addOptional(col.Entity.Part, "")
	}
	for _, shape := range c.shapes {
		for _, i := range shape {
			col := &c.series.Columns[i]
			c.names.addName(col.Metric)
			c.names.addOptional(col.Source, col.Metric)
		}
	}
	for i := range c.series.Columns {
		for _, a := range c.series.Columns[i].Absent {
			c.names.addOptional(a.Raw, "")
		}
	}
	for _, e := range c.series.Identities {
		for _, text := range identityFields(e.Identity) {
			c.names.addOptional(*text, "")
		}
		for _, l := range e.Identity.Labels {
			c.names.addName(l.Name)
			c.names.addName(l.Value)
		}
	}
	c.names.sortNames()
}

// collectVectors finds the distinct lists of times, their base and unit. A column with the times of the
// column before, or of one before that, is found by looking at memory only.
func (c *seriesCoder) collectVectors() {
	type outline struct {
		first, last events.Timestamp
		count       int
	}
	known := make(map[outline][]int)
	c.vectorOf = make([]int, len(c.series.Columns))
	for i := range c.series.Columns {
		times := c.series.Columns[i].Times
		var o outline
		if n := len(times); n > 0 {
			o = outline{times[0], times[n-1], n}
		}
		same := known[o]
		at := slices.IndexFunc(same, func(v int) bool { return sameTimes(c.vectors[v], times) })
		if at < 0 {
			known[o] = append(same, len(c.vectors))
			c.vectorOf[i] = len(c.vectors)
			c.vectors = append(c.vectors, times)
			continue
		}
		c.vectorOf[i] = same[at]
	}
	c.ticks = vectorTicks(c.vectors)
}

func vectorTicks(vectors [][]events.Timestamp) ticks {
	base, some := events.Timestamp(0), false
	for _, v := range vectors {
		if len(v) > 0 && (!some || v[0] < base) {
			base, some = v[0], true
		}
	}
	t := ticksFrom(base)
	for _, v := range vectors {
		for _, at := range v {
			t.fitUnit(base, at)
		}
	}
	return t
}

func sameTimes(a, b []events.Timestamp) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// collectGroups sorts columns into groups and groups by shape.
func (c *seriesCoder) collectGroups() {
	order := make([]int, len(c.series.Columns))
	for i := range order {
		order[i] = i
	}
	columns := c.series.Columns
	slices.SortStableFunc(order, func(i, j int) int { // columns of a group stay in their order
		a, b := &columns[i], &columns[j]
		if d := a.Entity.Compare(b.Entity); d != 0 {
			return d
		}
		return cmp.Compare(a.Identity, b.Identity)
	})
	for len(order) > 0 {
		n := 1
		for n < len(order) && sameGroup(&columns[order[0]], &columns[order[n]]) {
			n++
		}
		c.addGroup(order[:n])
		order = order[n:]
	}
}

func sameGroup(a, b *Column) bool { return a.Identity == b.Identity && a.Entity == b.Entity }

func (c *seriesCoder) addGroup(columns []int) {
	c.groups = append(c.groups, seriesGroup{columns: columns, shape: c.shapeOf(columns)})
}

// shapeOf returns the shape of columns, which it adds when it is not there: mostly it is the last one's or the first one's.
func (c *seriesCoder) shapeOf(columns []int) int {
	for _, shape := range [...]int{len(c.shapes) - 1, 0} {
		if shape >= 0 && shape < len(c.shapes) && slices.EqualFunc(c.shapes[shape], columns, c.sameColumn) {
			return shape
		}
	}
	c.key = c.key[:0]
	for _, i := range columns {
		col := &c.series.Columns[i]
		c.key = binary.AppendUvarint(c.key, uint64(c.vectorOf[i]))
		for _, text := range [...]string{col.Metric, col.Source} {
			c.key = append(binary.AppendUvarint(c.key, uint64(len(text))), text...)
		}
	}
	shape, ok := c.byShape[string(c.key)]
	if !ok {
		if c.byShape == nil {
			c.byShape = make(map[string]int, 8)
		}
		shape = len(c.shapes)
		c.byShape[string(c.key)] = shape
		c.shapes = append(c.shapes, columns)
	}
	return shape
}

// sameColumn reports whether two columns are one column of a shape.
func (c *seriesCoder) sameColumn(i, j int) bool {
	a, b := &c.series.Columns[i], &c.series.Columns[j]
	return c.vectorOf[i] == c.vectorOf[j] && a.Metric == b.Metric && a.Source == b.Source
}

func (c *seriesCoder) appendVectors(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.vectors)))
	for _, v := range c.vectors {
		dst = binary.AppendUvarint(dst, uint64(len(v)))
		last := c.ticks.base
		for _, at := range v {
			dst = binary.AppendUvarint(dst, c.ticks.ticksBetween(last, at))
			last = at
		}
	}
	return dst
}

func (c *seriesCoder) appendShapes(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.shapes)))
	for _, shape := range c.shapes {
		dst = binary.AppendUvarint(dst, uint64(len(shape)))
		for _, i := range shape {
			col := &c.series.Columns[i]
			dst = binary.AppendUvarint(dst, c.names.refOf(col.Metric))
			dst = binary.AppendUvarint(dst, c.names.optionalRef(col.Source, col.Metric))
			dst = binary.AppendUvarint(dst, uint64(c.vectorOf[i]))
		}
	}
	return dst
}

func (c *seriesCoder) appendGroups(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.groups)))
	for _, g := range c.groups {
		col := &c.series.Columns[g.columns[0]]
		dst = binary.AppendUvarint(dst, c.names.refOf(string(col.Entity.GPU)))
		dst = binary.AppendUvarint(dst, c.names.optionalRef(col.Entity.Part, ""))
		dst = binary.AppendUvarint(dst, c.identityIndex(col.Identity))
		dst = binary.AppendUvarint(dst, uint64(g.shape))
	}
	return dst
}

// identityIndex returns the index of an identity in the window's list.
func (c *seriesCoder) identityIndex(id events.IdentityID) uint64 {
	i, _ := slices.BinarySearchFunc(c.series.Identities, id, func(e WindowIdentity, id events.IdentityID) int { return cmp.Compare(e.ID, id) })
	return uint64(i)
}

func (c *seriesCoder) appendIdentities(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.series.Identities)))
	for _, e := range c.series.Identities {
		dst = c.appendIdentity(dst, e.Identity)
	}
	return dst
}

func (c *seriesCoder) appendIdentity(dst []byte, id *events.Identity) []byte {
	set := uint64(0)
	for i, text := range identityFields(id) {
		if *text != "" {
			set |= 1 << i
		}
	}
	if len(id.Labels) > 0 {
		set |= labelsBit
	}
	dst = binary.AppendUvarint(dst, set)
	for _, text := range identityFields(id) {
		if *text != "" {
			dst = binary.AppendUvarint(dst, c.names.refOf(*text))
		}
	}
	if len(id.Labels) == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(id.Labels)))
	for _, l := range id.Labels {
		dst = binary.AppendUvarint(dst, c.names.refOf(l.Name))
		dst = binary.AppendUvarint(dst, c.names.refOf(l.Value))
	}
	return dst
}
