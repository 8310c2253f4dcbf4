package events

import "slices"

// Union returns the canonical set of the readings in a or b, which must be canonical, and the readings of b that are
// not in a. It changes neither; the results may share their memory.
func Union(a, b Samples) (all, added Samples) {
	all = a.clipColumns() // no spare room: additions go to new memory
	added = all.Unite(b)
	return all, added
}

// Unite makes s the union of s and b, which must be canonical, and returns the readings that s did not have. Like
// append it may use the spare room behind s, so that the cost of repeatedly adding newer readings is proportional to
// their number. Of several copies of s, continue with one only.
func (s *Samples) Unite(b Samples) (added Samples) {
	switch {
	case b.Len() == 0:
		return Samples{}
	case s.Len() == 0:
		*s = b.clipColumns()
	case s.Times[s.Len()-1] < b.Times[0]:
		y := b
		alignExponents(s, &y)
		s.appendAll(&y)
	default:
		return s.mergeOverlap(b)
	}
	return b.clipColumns()
}

// clipColumns returns s without spare room.
func (s *Samples) clipColumns() Samples {
	return Samples{
		Times:     slices.Clip(s.Times),
		Mantissas: slices.Clip(s.Mantissas),
		Exponent:  s.Exponent,
		Exponents: slices.Clip(s.Exponents),
		Absent:    slices.Clip(s.Absent),
	}
}

// alignExponents brings a and b to the exponents of their union: the finer one of both, or exponents by row if the
// mantissas do not fit.
func alignExponents(a, b *Samples) {
	if a.Exponents == nil && b.Exponents == nil && commonExponent(a, b) {
		return
	}
	a.splitExponents()
	b.splitExponents()
}

func commonExponent(a, b *Samples) bool {
	switch {
	case a.Exponent == b.Exponent:
		return true
	case !b.hasNumbers():
		b.Exponent = a.Exponent
		return true
	case !a.hasNumbers():
		a.Exponent = b.Exponent
		return true
	case a.Exponent < b.Exponent:
		a, b = b, a
	}
	ms, ok := scaleAll(a.Mantissas, int(a.Exponent)-int(b.Exponent))
	if ok {
		a.Mantissas, a.Exponent = ms, b.Exponent
	}
	return ok
}

// appendAll appends b, whose exponents must be aligned with s.
func (s *Samples) appendAll(b *Samples) {
	rows := len(s.Times)
	s.Times = append(s.Times, b.Times...)
	s.Mantissas = append(s.Mantissas, b.Mantissas...)
	if b.Exponents != nil {
		s.Exponents = append(s.Exponents, b.Exponents...)
	}
	for _, a := range b.Absent {
		a.Row += rows
		s.Absent = append(s.Absent, a)
	}
}

// mergeOverlap is Unite for samples whose times overlap. It copies all of s before b at once.
func (s *Samples) mergeOverlap(b Samples) (added Samples) {
	x, y := s.clipColumns(), b
	alignExponents(&x, &y)
	i, _ := slices.BinarySearch(x.Times, y.Times[0])
	out := Samples{
		Times:     make([]Timestamp, 0, x.Len()+y.Len()),
		Mantissas: make([]int64, 0, x.Len()+y.Len()),
		Exponent:  x.Exponent,
	}
	if x.Exponents != nil {
		out.Exponents = make([]int16, 0, x.Len()+y.Len())
	}
	head := x.Slice(0, i)
	out.appendAll(&head)
	var fresh []int // rows of b that are not in s
	for j := 0; i < x.Len() || j < y.Len(); {
		c := x.compareAt(i, &y, j)
		if c <= 0 {
			out.appendRow(&x, i)
			i++
		} else {
			out.appendRow(&y, j)
			fresh = append(fresh, j)
		}
		if c >= 0 {
			j++
		}
	}
	switch len(fresh) {
	case 0:
		return Samples{}
	case b.Len():
		added = b.clipColumns()
	default:
		added = b.pickRows(fresh)
		added.fitExponent()
	}
	*s = out
	return added
}

// compareAt orders row i of s and row j of other by time, then value; a row past the end is last.
func (s *Samples) compareAt(i int, other *Samples, j int) int {
	switch {
	case i == s.Len():
		return 1
	case j == other.Len() || s.Times[i] < other.Times[j]:
		return -1
	case s.Times[i] > other.Times[j]:
		return 1
	}
	return s.compareRows(i, other, j)
}

// appendRow appends row i of src, whose exponents must be aligned with s.
func (s *Samples) appendRow(src *Samples, i int) {
	if k, absent := src.findAbsence(i); absent {
		s.Absent = append(s.Absent, Absence{Row: len(s.Times), Reason: src.Absent[k].Reason, Raw: src.Absent[k].Raw})
	}
	s.Times = append(s.Times, src.Times[i])
	s.Mantissas = append(s.Mantissas, src.Mantissas[i])
	if src.Exponents != nil {
		s.Exponents = append(s.Exponents, src.Exponents[i])
	}
}
