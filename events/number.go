package events

import (
	"cmp"
	"math"
	"strconv"
)

// Number is a decimal: Mantissa × 10^Exponent. Readings arrive as decimal text, and a decimal gives
// that text's meaning back exactly, which a float64 does not: 66.781 stays 66.781, and a counter past
// 2^53 keeps its last digit. A normalised Number has no trailing zero in its mantissa, and zero is
// {0, 0}; so two normalised Numbers are equal when they are ==.
type Number struct {
	Mantissa int64
	Exponent int16
}

// powers holds 10^0 to 10^18, every power of ten that an int64 holds. Never written.
var powers = [19]int64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// Int makes a Number of a whole value.
func Int(v int64) Number { return NumberOf(v, 0) }

// NumberOf makes the normalised Number of mantissa × 10^exponent: trailing zeros move into the exponent, as
// far as an Exponent goes.
func NumberOf(mantissa int64, exponent int16) Number {
	if mantissa == 0 {
		return Number{}
	}
	for mantissa%10 == 0 && exponent < math.MaxInt16 {
		mantissa /= 10
		exponent++
	}
	return Number{mantissa, exponent}
}

// MantissaAt gives n's mantissa at an exponent that is no greater than its own; false when an int64 does
// not hold it.
func (n Number) MantissaAt(exponent int16) (int64, bool) {
	return scaleUp(n.Mantissa, int(n.Exponent)-int(exponent))
}

// scaleUp gives mantissa × 10^by, by ≥ 0; false when an int64 does not hold it.
func scaleUp(mantissa int64, by int) (int64, bool) {
	switch {
	case mantissa == 0 || by == 0:
		return mantissa, true
	case by >= len(powers):
		return 0, false
	}
	limit := math.MaxInt64 / powers[by]
	if mantissa > limit || mantissa < -limit {
		return 0, false
	}
	return mantissa * powers[by], true
}

// Float gives the nearest float64.
func (n Number) Float() float64 {
	const exact = 1 << 53 // whole values up to here and powers up to 10^22 are float64s, so one division rounds once
	if -exact <= n.Mantissa && n.Mantissa <= exact {
		switch e := int(n.Exponent); {
		case 0 <= e && e < len(powers):
			return float64(n.Mantissa) * float64(powers[e])
		case -len(powers) < e && e < 0:
			return float64(n.Mantissa) / float64(powers[-e])
		}
	}
	var text [48]byte
	f, _ := strconv.ParseFloat(string(n.Append(text[:0])), 64) // out of range is ±Inf or 0, which is nearest
	return f
}

// Compare orders by numeric value: -1, 0 or +1, exactly.
func (n Number) Compare(m Number) int {
	sign := cmp.Compare(n.Mantissa, 0)
	if other := cmp.Compare(m.Mantissa, 0); sign != other || sign == 0 {
		return cmp.Compare(sign, other)
	}
	a, b := absValue(n.Mantissa), absValue(m.Mantissa)
	da, db := countDigits(a), countDigits(b)
	if c := cmp.Compare(da+int(n.Exponent), db+int(m.Exponent)); c != 0 {
		return sign * c
	}
	// The leading digits have the same weight: bring both to the same number of digits, at most 19,
	// which a uint64 holds.
	if da < db {
		a *= uint64(powers[db-da])
	} else {
		b *= uint64(powers[da-db])
	}
	return sign * cmp.Compare(a, b)
}

// absValue is the absolute value, of math.MinInt64 too.
func absValue(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// countDigits counts the decimal digits of v, 0 has none.
func countDigits(v uint64) int {
	n := 0
	for n < len(powers) && v >= uint64(powers[n]) {
		n++
	}
	return n
}

// Append writes the shortest plain text of the number, which is also a JSON number, and parses back to
// the same Number. Very large and very small numbers (from 10^21, below 10^-6) have an exponent.
func (n Number) Append(dst []byte) []byte {
	if n.Exponent == 0 {
		return strconv.AppendInt(dst, n.Mantissa, 10)
	}
	if n.Mantissa < 0 {
		dst = append(dst, '-')
	}
	var buf [20]byte
	text := strconv.AppendUint(buf[:0], absValue(n.Mantissa), 10)
	point := len(text) + int(n.Exponent) // digits before the decimal point
	switch {
	case n.Mantissa == 0:
		return append(dst, '0')
	case n.Exponent >= 0 && point <= 21:
		return appendZeros(append(dst, text...), int(n.Exponent))
	case n.Exponent < 0 && point > 0:
		dst = append(append(dst, text[:point]...), '.')
		return append(dst, text[point:]...)
	case n.Exponent < 0 && point > -6:
		return append(appendZeros(append(dst, "0."...), -point), text...)
	}
	dst = append(dst, text[0])
	if len(text) > 1 {
		dst = append(append(dst, '.'), text[1:]...)
	}
	return strconv.AppendInt(append(dst, 'e'), int64(point-1), 10)
}

func appendZeros(dst []byte, count int) []byte {
	for range count {
		dst = append(dst, '0')
	}
	return dst
}

// String is Append as a string.
func (n Number) String() string { return string(n.Append(nil)) }

// MarshalJSON writes a JSON number.
func (n Number) MarshalJSON() ([]byte, error) { return n.Append(nil), nil }
