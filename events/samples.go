package events

import (
	"cmp"
	"iter"
	"slices"
)

// Samples are the readings of one series in columns: Times in ascending order, and a mantissa for each time. All
// share Exponent unless Exponents, one per row, is set (for numbers too far apart for one exponent). A time may occur
// more than once, with different values. Absent lists, by row, the readings that have a reason instead of a number;
// their mantissa is 0.
//
// Like a slice, a copy of a Samples shares its memory. No method changes a reading in place: additions go behind the
// readings of the other copies, or to new memory.
type Samples struct {
	Times     []Timestamp
	Mantissas []int64
	Exponent  int16
	Exponents []int16
	Absent    []Absence // ascending by Row
}

// Absence is the reason and the source text of one absent reading.
type Absence struct {
	Row    int
	Reason Reason
	Raw    string
}

// Len returns the number of readings.
func (s *Samples) Len() int { return len(s.Times) }

// At returns reading i with its number normalised.
func (s *Samples) At(i int) (Timestamp, Value) {
	if k, absent := s.findAbsence(i); absent {
		return s.Times[i], Value{Absent: s.Absent[k].Reason, Raw: s.Absent[k].Raw}
	}
	return s.Times[i], Value{Number: s.numberAt(i)}
}

// All returns an iterator over the readings in order, with normalised numbers.
func (s *Samples) All() iter.Seq2[Timestamp, Value] {
	return func(yield func(Timestamp, Value) bool) {
		absent := s.Absent
		for i, at := range s.Times {
			var v Value
			if len(absent) > 0 && absent[0].Row == i {
				v, absent = Value{Absent: absent[0].Reason, Raw: absent[0].Raw}, absent[1:]
			} else {
				v.Number = s.numberAt(i)
			}
			if !yield(at, v) {
				return
			}
		}
	}
}

// findAbsence returns the position of row i in Absent, or its insertion point and false.
func (s *Samples) findAbsence(i int) (int, bool) {
	if len(s.Absent) == 0 {
		return 0, false
	}
	return slices.BinarySearchFunc(s.Absent, i, func(a Absence, row int) int { return cmp.Compare(a.Row, row) })
}

// numberAt returns the normalised number of row i.
func (s *Samples) numberAt(i int) Number { return NumberOf(s.Mantissas[i], s.exponentAt(i)) }

// exponentAt returns the exponent of the mantissa of row i.
func (s *Samples) exponentAt(i int) int16 {
	if s.Exponents != nil {
		return s.Exponents[i]
	}
	return s.Exponent
}

// hasNumbers reports whether any mantissa differs from 0. Otherwise the Exponent has no meaning.
func (s *Samples) hasNumbers() bool {
	for _, m := range s.Mantissas {
		if m != 0 {
			return true
		}
	}
	return false
}

// Add appends a reading at the end, for any time; Canonical restores the order. The amortised cost is constant:
// rewriting the mantissas for a number with more decimals can happen only about twenty times.
func (s *Samples) Add(at Timestamp, v Value) {
	row := len(s.Times)
	s.Times = append(s.Times, at)
	if v.Absent != Present {
		s.Absent = append(s.Absent, Absence{Row: row, Reason: v.Absent, Raw: v.Raw})
		v.Number = Number{}
	}
	n := NumberOf(v.Number.Mantissa, v.Number.Exponent)
	if s.Exponents == nil && s.addShared(n) {
		return
	}
	if s.Exponents == nil {
		s.splitExponents()
	}
	s.Mantissas = append(s.Mantissas, n.Mantissa)
	s.Exponents = append(s.Exponents, n.Exponent)
}

// addShared appends the mantissa of n if all mantissas then fit one exponent.
func (s *Samples) addShared(n Number) bool {
	switch by := int(n.Exponent) - int(s.Exponent); {
	case n.Mantissa == 0:
	case by >= 0:
		m, ok := scaleUp(n.Mantissa, by)
		if ok {
			n.Mantissa = m
			break
		}
		if s.hasNumbers() {
			return false
		}
		s.Exponent = n.Exponent
	default:
		ms, ok := scaleAll(s.Mantissas, -by)
		if !ok {
			return false
		}
		s.Mantissas, s.Exponent = ms, n.Exponent
	}
	s.Mantissas = append(s.Mantissas, n.Mantissa)
	return true
}

// scaleAll returns mantissas × 10^by in new memory, or false if one does not fit an int64.
func scaleAll(mantissas []int64, by int) ([]int64, bool) {
	out := make([]int64, len(mantissas), cap(mantissas))
	for i, m := range mantissas {
		var ok bool
		if out[i], ok = scaleUp(m, by); !ok {
			return nil, false
		}
	}
	return out, true
}

// splitExponents sets an exponent per row, in new memory.
func (s *Samples) splitExponents() {
	if s.Exponents != nil {
		return
	}
	ms, es := make([]int64, len(s.Mantissas)), make([]int16, len(s.Mantissas))
	for i := range s.Mantissas {
		n := s.numberAt(i)
		ms[i], es[i] = n.Mantissa, n.Exponent
	}
	s.Mantissas, s.Exponents, s.Exponent = ms, es, 0
}

// Slice returns the readings i..j-1, which share memory with s. For canonical samples they are sorted, but their
// exponent may not be canonical.
func (s *Samples) Slice(i, j int) Samples {
	out := Samples{Times: s.Times[i:j:j], Mantissas: s.Mantissas[i:j:j], Exponent: s.Exponent}
	if s.Exponents != nil {
		out.Exponents = s.Exponents[i:j:j]
	}
	from, _ := s.findAbsence(i)
	to, _ := s.findAbsence(j)
	if from == to {
		return out
	}
	out.Absent = s.Absent[from:to:to]
	if i > 0 {
		out.Absent = slices.Clone(out.Absent)
		for k := range out.Absent {
			out.Absent[k].Row -= i
		}
	}
	return out
}
