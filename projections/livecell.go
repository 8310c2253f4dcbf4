package projections

import (
	"encoding/binary"
	"math"

	"telemetry-pipeline/events"
)

// A cell column holds one metric's readings of all entities of one shape:
//
//	head: flags, and above them the common exponent
//	times: one distance from the base if flagSameTime, else one for each entity
//	if flagAbsent: for each entity a reason, and behind a reason other than Present the raw text (0: none)
//	for each present value: its mantissa less the one before
//	if flagExponents: for each present value its exponent
const (
	flagSameTime = 1 << iota
	flagAbsent
	flagExponents
	flagBits = iota
)

// appendCells writes metric m of shape sh.
func (c *liveCoder) appendCells(dst []byte, sh *liveShape, m int) []byte {
	c.cells = c.cells[:0]
	for _, i := range sh.entities {
		c.cells = append(c.cells, &c.live.Entities[i].Latest[m])
	}
	return c.appendCellColumn(dst)
}

// appendCellColumn writes c.cells.
func (c *liveCoder) appendCellColumn(dst []byte) []byte {
	flags, exponent := cellForm(c.cells)
	dst = binary.AppendUvarint(dst, zigzag(int64(exponent))<<flagBits|flags)
	dst = c.appendCellTimes(dst, flags)
	if flags&flagAbsent != 0 {
		for _, l := range c.cells {
			dst = append(dst, byte(l.Value.Absent))
			if l.Value.Absent != events.Present {
				dst = binary.AppendUvarint(dst, c.names.optionalRef(l.Value.Raw, ""))
			}
		}
	}
	return appendCellNumbers(dst, c.cells, flags, exponent)
}

// cellForm is a set of flags: the optional lists that a column of cells has.
func cellForm(cells []*Latest) (flags uint64, exponent int16) {
	flags, exponent = flagSameTime, math.MaxInt16
	numbers := false
	for _, l := range cells {
		if l.At != cells[0].At {
			flags &^= flagSameTime
		}
		switch n := l.Value.Number; {
		case l.Value.Absent != events.Present:
			flags |= flagAbsent
		case n.Mantissa != 0:
			exponent, numbers = min(exponent, n.Exponent), true
		}
	}
	for _, l := range cells {
		if l.Value.Absent != events.Present || l.Value.Number.Mantissa == 0 {
			continue
		}
		if _, ok := l.Value.Number.MantissaAt(exponent); !ok {
			return flags | flagExponents, 0
		}
	}
	if !numbers {
		exponent = 0 // nothing but zeros and absences
	}
	return flags, exponent
}

func (c *liveCoder) appendCellTimes(dst []byte, flags uint64) []byte {
	for _, l := range c.cells {
		dst = binary.AppendUvarint(dst, c.ticks.ticksBetween(l.At, c.ticks.base))
		if flags&flagSameTime != 0 {
			break
		}
	}
	return dst
}

func appendCellNumbers(dst []byte, cells []*Latest, flags uint64, exponent int16) []byte {
	last := int64(0)
	for _, l := range cells {
		if l.Value.Absent != events.Present {
			continue
		}
		mantissa := l.Value.Number.Mantissa
		if flags&flagExponents == 0 {
			mantissa, _ = l.Value.Number.MantissaAt(exponent)
		}
		dst = appendVarint(dst, mantissa-last)
		last = mantissa
	}
	if flags&flagExponents == 0 {
		return dst
	}
	for _, l := range cells {
		if l.Value.Absent == events.Present {
			dst = appendVarint(dst, int64(l.Value.Number.Exponent))
		}
	}
	return dst
}

// readCells reads one column into the readings given.
func (r *reader) readCells(names []string, t *ticks, cells []*Latest) {
	head := r.readUvarint()
	exponent := r.narrowExponent(unzigzag(head >> flagBits))
	var at events.Timestamp
	for i, l := range cells {
		if i == 0 || head&flagSameTime == 0 {
			at = t.timeBefore(t.base, r.readUvarint())
		}
		l.At = at
	}
	if head&flagAbsent != 0 {
		for _, l := range cells {
			r.readAbsence(names, &l.Value)
		}
	}
	last := int64(0)
	for _, l := range cells {
		if v := &l.Value; v.Absent == events.Present {
			last += r.readVarint()
			v.Number.Mantissa = last
		}
	}
	for _, l := range cells {
		if v := &l.Value; v.Absent == events.Present {
			if head&flagExponents != 0 {
				exponent = r.readExponent()
			}
			v.Number = events.NumberOf(v.Number.Mantissa, exponent)
		}
	}
}

func (r *reader) readAbsence(names []string, v *events.Value) {
	if b := r.readBytes(1); b != nil {
		v.Absent = events.Reason(b[0])
	}
	if v.Absent != events.Present {
		v.Raw = r.readOptional(names, "")
	}
}
