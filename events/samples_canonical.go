package events

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Canonical sorts by time, then by Value.Compare, drops exact repeats and sets the canonical exponents of this set of
// readings. Equal sets are then equal field by field.
//
// The canonical form has one Exponent for all rows, the smallest one of the normalised numbers other than 0 (0 if
// there is none), if every mantissa fits an int64 with it. Otherwise every number is normalised with its own exponent
// in Exponents. Empty columns are nil.
func (s *Samples) Canonical() {
	if !s.isSorted() {
		s.sortRows()
	}
	s.fitExponent()
	s.trimEmpty()
}

// trimEmpty sets empty columns to nil.
func (s *Samples) trimEmpty() {
	if len(s.Times) == 0 {
		*s = Samples{}
	}
	if len(s.Absent) == 0 {
		s.Absent = nil
	}
}

// isSorted reports whether the readings ascend strictly.
func (s *Samples) isSorted() bool {
	for i := 1; i < len(s.Times); i++ {
		if s.Times[i-1] < s.Times[i] {
			continue
		}
		if s.Times[i-1] > s.Times[i] || s.compareRows(i-1, s, i) >= 0 {
			return false
		}
	}
	return true
}

// compareRows compares the values of row i of s and row j of other.
func (s *Samples) compareRows(i int, other *Samples, j int) int {
	if s.Mantissas[i] == other.Mantissas[j] && s.exponentAt(i) == other.exponentAt(j) &&
		len(s.Absent) == 0 && len(other.Absent) == 0 {
		return 0
	}
	_, v := s.At(i)
	_, w := other.At(j)
	return v.Compare(w)
}

// sortRows sorts the readings and drops repeats, in new memory.
func (s *Samples) sortRows() {
	order := make([]int, len(s.Times))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		if c := cmp.Compare(s.Times[i], s.Times[j]); c != 0 {
			return c
		}
		return s.compareRows(i, s, j)
	})
	order = slices.CompactFunc(order, func(i, j int) bool {
		return s.Times[i] == s.Times[j] && s.compareRows(i, s, j) == 0
	})
	*s = s.pickRows(order)
}

// pickRows returns the given rows in the given order, in new memory. The exponents stay as they are.
func (s *Samples) pickRows(rows []int) Samples {
	out := Samples{
		Times:     make([]Timestamp, len(rows)),
		Mantissas: make([]int64, len(rows)),
		Exponent:  s.Exponent,
	}
	if s.Exponents != nil {
		out.Exponents = make([]int16, len(rows))
	}
	for k, i := range rows {
		out.Times[k], out.Mantissas[k] = s.Times[i], s.Mantissas[i]
		if s.Exponents != nil {
			out.Exponents[k] = s.Exponents[i]
		}
		if a, absent := s.findAbsence(i); absent {
			out.Absent = append(out.Absent, Absence{Row: k, Reason: s.Absent[a].Reason, Raw: s.Absent[a].Raw})
		}
	}
	return out
}

// fitExponent sets the canonical exponent, in new memory if mantissas change.
func (s *Samples) fitExponent() {
	if s.Exponents == nil {
		s.coarsenExponent()
		return
	}
	ms, es := make([]int64, len(s.Mantissas)), make([]int16, len(s.Mantissas))
	for i := range s.Mantissas {
		n := s.numberAt(i)
		ms[i], es[i] = n.Mantissa, n.Exponent
	}
	s.setRows(ms, es)
}

// coarsenExponent raises a shared exponent to the smallest one of the normalised numbers.
func (s *Samples) coarsenExponent() {
	by := math.MaxInt
	for _, m := range s.Mantissas {
		if m != 0 {
			if by = min(by, trailingZeros(m)); by == 0 {
				return
			}
		}
	}
	if by == math.MaxInt {
		s.Exponent = 0
		return
	}
	by = min(by, math.MaxInt16-int(s.Exponent))
	out := make([]int64, len(s.Mantissas))
	for i, m := range s.Mantissas {
		out[i] = m / powers[by]
	}
	s.Mantissas, s.Exponent = out, s.Exponent+int16(by)
}

// trailingZeros returns the number of trailing zeros in the decimal digits of m, which must not be 0.
func trailingZeros(m int64) (n int) {
	for m%10 == 0 {
		m /= 10
		n++
	}
	return n
}

// setRows sets the numbers in canonical form from normalised mantissas and their exponents. It keeps and changes ms,
// and keeps es only if the numbers do not fit one exponent.
func (s *Samples) setRows(ms []int64, es []int16) {
	s.Mantissas = ms
	shared, ok := sharedExponent(ms, es)
	if !ok {
		s.Exponents, s.Exponent = es, 0
		return
	}
	s.Exponents, s.Exponent = nil, shared
	for i, m := range ms {
		if m != 0 {
			ms[i] = m * powers[int(es[i])-int(shared)]
		}
	}
}

// sharedExponent returns the smallest exponent of the numbers other than 0, and whether all mantissas fit it.
func sharedExponent(ms []int64, es []int16) (int16, bool) {
	shared, any := int16(math.MaxInt16), false
	for i, m := range ms {
		if m != 0 {
			shared, any = min(shared, es[i]), true
		}
	}
	if !any {
		return 0, true
	}
	for i, m := range ms {
		if _, ok := scaleUp(m, int(es[i])-int(shared)); !ok {
			return shared, false
		}
	}
	return shared, true
}

// Check returns an error if s is not canonical.
func (s *Samples) Check() error {
	if len(s.Mantissas) != len(s.Times) || s.Exponents != nil && len(s.Exponents) != len(s.Times) {
		return fmt.Errorf("samples of %d times have %d mantissas, %d exponents", len(s.Times), len(s.Mantissas), len(s.Exponents))
	}
	if err := s.checkAbsent(); err != nil {
		return err
	}
	if !s.isSorted() {
		return errors.New("samples are not in order, or repeat a reading")
	}
	if !s.isFitted() {
		return errors.New("samples are not in their canonical exponent")
	}
	return nil
}

func (s *Samples) checkAbsent() error {
	last := -1
	for _, a := range s.Absent {
		switch {
		case a.Row <= last || a.Row >= len(s.Times):
			return fmt.Errorf("absent row %d is out of order or range", a.Row)
		case a.Reason == Present:
			return fmt.Errorf("absent row %d has no reason", a.Row)
		case s.Mantissas[a.Row] != 0:
			return fmt.Errorf("absent row %d has a number", a.Row)
		}
		last = a.Row
	}
	return nil
}

// isFitted reports whether fitExponent would change nothing.
func (s *Samples) isFitted() bool {
	if s.Exponents == nil {
		for _, m := range s.Mantissas {
			if m%10 != 0 {
				return true
			}
		}
		return !s.hasNumbers() && s.Exponent == 0 || s.hasNumbers() && s.Exponent == math.MaxInt16
	}
	for i, m := range s.Mantissas {
		if (Number{m, s.Exponents[i]}) != NumberOf(m, s.Exponents[i]) {
			return false
		}
	}
	_, ok := sharedExponent(s.Mantissas, s.Exponents)
	return !ok && s.Exponent == 0
}
