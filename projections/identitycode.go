package projections

import (
	"encoding/binary"
	"errors"
	"strings"

	"telemetry-pipeline/events"
)

// The form of an identity model:
//
//	names · ticks (base: the earliest first time)
//	the node that the host is joined to (0: none); if there is one, the time
//	windows: lists of window ranges, each once: for each its ranges (appendWindows); the first list is the host's
//	GPUs: name, distance of FirstSeen from the base, list of Windows, list of Listed, list of Stated
//	    runs: field, value, distance of First from the base, Last less the window of First
//	    parts: name, distance of FirstSeen from the base
//
// Form 1 held every identity of the host, labels and pods included. The models of that time are made again from the log.
const identityForm = 2

// AppendIdentity writes id behind dst.
func (e *Encoder) AppendIdentity(dst []byte, id *Identity) []byte {
	c := identityCoder{id: id, names: e.lend()}
	defer e.restore(&c.names)
	c.collectTables()
	dst = append(dst, identityForm)
	dst = c.names.appendTable(dst)
	dst = c.ticks.appendTicks(dst)
	dst = binary.AppendUvarint(dst, c.names.optionalRef(string(id.Joined.Node), ""))
	if id.Joined.Node != "" {
		dst = appendVarint(dst, int64(id.Joined.At))
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.lists)))
	for _, spans := range c.lists {
		dst = appendWindows(dst, spans)
	}
	dst = binary.AppendUvarint(dst, uint64(len(id.GPUs)))
	for i := range id.GPUs {
		dst = c.appendGPU(dst, &id.GPUs[i])
	}
	return dst
}

type identityCoder struct {
	id    *Identity
	names names
	ticks ticks
	lists [][]WindowRange
	index map[string]int // of lists, by their bytes
	key   []byte
}

// collectTables notes strings, times and lists of windows.
func (c *identityCoder) collectTables() {
	c.index = make(map[string]int, 2)
	c.listOf(c.id.Windows)
	base, some := events.Timestamp(0), false
	eachTime := func(f func(events.Timestamp)) {
		for i := range c.id.GPUs {
			k := &c.id.GPUs[i]
			f(k.FirstSeen)
			for _, r := range k.Runs {
				f(r.First)
			}
			for _, p := range k.Parts {
				f(p.FirstSeen)
			}
		}
	}
	eachTime(func(at events.Timestamp) {
		if !some || at < base {
			base, some = at, true
		}
	})
	c.ticks = ticksFrom(base)
	eachTime(func(at events.Timestamp) { c.ticks.fitUnit(base, at) })
	for i := range c.id.GPUs {
		k := &c.id.GPUs[i]
		c.names.addName(string(k.Name))
		for _, r := range k.Runs {
			c.names.addName(r.Value)
		}
		for _, p := range k.Parts {
			c.names.addName(p.Name)
		}
		c.listOf(k.Windows)
		c.listOf(k.Listed)
		c.listOf(k.Stated)
	}
	c.names.addOptional(string(c.id.Joined.Node), "")
	c.names.sortNames()
}

// listOf returns the index of a list of windows, which it adds when it is not there.
func (c *identityCoder) listOf(spans []WindowRange) int {
	c.key = appendWindows(c.key[:0], spans)
	i, ok := c.index[string(c.key)]
	if !ok {
		i = len(c.lists)
		c.index[string(c.key)] = i
		c.lists = append(c.lists, spans)
	}
	return i
}

func (c *identityCoder) appendGPU(dst []byte, k *KnownGPU) []byte {
	dst = binary.AppendUvarint(dst, c.names.refOf(string(k.Name)))
	dst = binary.AppendUvarint(dst, c.ticks.ticksBetween(c.ticks.base, k.FirstSeen))
	dst = binary.AppendUvarint(dst, uint64(c.listOf(k.Windows)))
	dst = binary.AppendUvarint(dst, uint64(c.listOf(k.Listed)))
	dst = binary.AppendUvarint(dst, uint64(c.listOf(k.Stated)))
	dst = binary.AppendUvarint(dst, uint64(len(k.Runs)))
	for _, r := range k.Runs {
		dst = append(dst, byte(r.Field))
		dst = binary.AppendUvarint(dst, c.names.refOf(r.Value))
		dst = binary.AppendUvarint(dst, c.ticks.ticksBetween(c.ticks.base, r.First))
		dst = binary.AppendUvarint(dst, uint64(r.Last-WindowOf(r.First)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(k.Parts)))
	for _, p := range k.Parts {
		dst = binary.AppendUvarint(dst, c.names.refOf(p.Name))
		dst = binary.AppendUvarint(dst, c.ticks.ticksBetween(c.ticks.base, p.FirstSeen))
	}
	return dst
}

func appendWindows(dst []byte, spans []WindowRange) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(spans)))
	last := Window(0)
	for _, s := range spans {
		dst = appendVarint(dst, int64(s.First-last))
		dst = binary.AppendUvarint(dst, uint64(s.Last-s.First))
		last = s.Last
	}
	return dst
}

// ParseIdentity undoes AppendIdentity. Bytes behind the model are an error.
func ParseIdentity(src []byte) (Identity, error) {
	p := identityParser{reader: &reader{src: src}}
	p.checkForm(identityForm)
	p.names, p.ticks = p.readNames(), p.readTicks()
	var id Identity
	if id.Joined.Node = events.HostID(p.readOptional(p.names, "")); id.Joined.Node != "" {
		id.Joined.At = events.Timestamp(p.readVarint())
	}
	p.lists = make([][]WindowRange, p.readCount(1))
	for i := range p.lists {
		p.lists[i] = p.readWindows()
	}
	if len(p.lists) == 0 {
		p.fail(errors.New("no windows"))
	}
	const size = 7
	if n := p.readCount(size); n > 0 {
		id.GPUs = make([]KnownGPU, n)
	}
	for i := range id.GPUs {
		p.readGPU(&id.GPUs[i])
	}
	if !isStrictlyAscending(id.GPUs, func(a, b *KnownGPU) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		p.fail(errors.New("GPUs not in order"))
	}
	if err := p.finishModel("identity"); err != nil {
		return Identity{}, err
	}
	id.Windows = p.lists[0]
	return id, nil
}

type identityParser struct {
	*reader
	names []string
	ticks ticks
	lists [][]WindowRange
}

func (p *identityParser) readGPU(k *KnownGPU) {
	const runSize, partSize = 4, 2
	k.Name = events.GPUID(p.readRef(p.names))
	k.FirstSeen = p.readTime()
	k.Windows, k.Listed, k.Stated = p.readList(), p.readList(), p.readList()
	if n := p.readCount(runSize); n > 0 {
		k.Runs = make([]Run, n)
	}
	for i := range k.Runs {
		r := &k.Runs[i]
		r.Field = Field(p.readIndex(int(fieldCount)))
		r.Value = p.readRef(p.names)
		r.First = p.readTime()
		r.Last = WindowOf(r.First) + Window(p.readUvarint())
	}
	if n := p.readCount(partSize); n > 0 {
		k.Parts = make([]KnownPart, n)
	}
	for i := range k.Parts {
		k.Parts[i] = KnownPart{Name: p.readRef(p.names), FirstSeen: p.readTime()}
	}
	if p.err == nil {
		if err := k.checkLists(); err != nil {
			p.fail(err)
		}
	}
}

func (p *identityParser) readTime() events.Timestamp {
	return p.ticks.timeAfter(p.ticks.base, p.readUvarint())
}

func (p *identityParser) readList() []WindowRange {
	if i := p.readIndex(len(p.lists)); p.err == nil {
		return p.lists[i]
	}
	return nil
}

func (r *reader) readWindows() []WindowRange {
	n := r.readCount(2)
	if n == 0 {
		return nil
	}
	spans := make([]WindowRange, n)
	last := Window(0)
	for i := range spans {
		first := last + Window(r.readVarint())
		last = first + Window(r.readUvarint())
		spans[i] = WindowRange{First: first, Last: last}
	}
	if err := checkWindows(spans); err != nil {
		r.fail(err)
	}
	return spans
}
