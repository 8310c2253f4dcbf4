package events

import (
	"cmp"
	"math"
	"strconv"
)

// Number is a decimal: Mantissa × 10^Exponent. Readings arrive as decimal text, and a decimal represents that text
// exactly, unlike a float64: 66.781 stays 66.781, and a counter above 2^53 keeps its last digit. A normalised Number
// has no trailing zero in its mantissa, and zero is {0, 0}; so two normalised Numbers are equal if they are ==.
type Number struct {
	Mantissa int64
	Exponent int16
}

// powers holds 10^0 to 10^18, every power of ten that fits an int64. Read-only.
var powers = [19]int64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// Int returns v as a Number.
func Int(v int64) Number { return NumberOf(v, 0) }

// NumberOf returns the normalised Number of mantissa × 10^exponent: it moves trailing zeros into the exponent, up to
// the largest exponent.
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

// MantissaAt returns the mantissa of n at the given exponent, which must not exceed its own. It returns false if the
// mantissa does not fit an int64.
func (n Number) MantissaAt(exponent int16) (int64, bool) {
	return scaleUp(n.Mantissa, int(n.Exponent)-int(exponent))
}

// scaleUp returns mantissa × 10^by for by ≥ 0, or false if it does not fit an int64.
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

// Float returns the nearest float64.
func (n Number) Float() float64 {
	const exact = 1 << 53 // integers up to here and powers up to 10^22 are exact float64s, so one division rounds once
	if -exact <= n.Mantissa && n.Mantissa <= exact {
		switch e := int(n.Exponent); {
		case 0 <= e && e < len(powers):
			return float64(n.Mantissa) * float64(powers[e])
		case -len(powers) < e && e < 0:
			return float64(n.Mantissa) / float64(powers[-e])
		}
	}
	var text [48]byte
	f, _ := strconv.ParseFloat(string(n.Append(text[:0])), 64) // out of range is ±Inf or 0, which is the nearest value
	return f
}

// Compare compares the numeric values exactly and returns -1, 0 or +1.
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
	// The leading digits have the same weight. Scale both to the same number of digits, at most 19, which fits a
	// uint64.
	if da < db {
		a *= uint64(powers[db-da])
	} else {
		b *= uint64(powers[da-db])
	}
	return sign * cmp.Compare(a, b)
}

// absValue returns the absolute value, also for math.MinInt64.
func absValue(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// countDigits returns the number of decimal digits of v, 0 for 0.
func countDigits(v uint64) int {
	n := 0
	for n < len(powers) && v >= uint64(powers[n]) {
		n++
	}
	return n
}

// Append appends the shortest plain text of the number, which is also a JSON number and parses to the same Number.
// Very large and very small numbers (from 10^21, below 10^-6) are written with an exponent.
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

// String returns the text that Append writes.
func (n Number) String() string { return string(n.Append(nil)) }

// MarshalJSON returns the number as a JSON number.
func (n Number) MarshalJSON() ([]byte, error) { return n.Append(nil), nil }
