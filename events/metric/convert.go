package metric

import (
	"math/bits"
	"strconv"

	"telemetry-pipeline/events"
)

// Conversion turns a reading as a source gives it into the canonical unit. The zero Conversion leaves it as
// it is.
type Conversion struct {
	scale int8 // × 10^scale
	mebi  bool // ÷ 2^20
	guess bool // 0–1 or 0–100: only the text tells
}

// Exact tells that readings are taken as they are.
func (c Conversion) Exact() bool { return c == Conversion{} }

// The powers of ten of the catalogue's conversions, and the power of two of a MiB.
const (
	mega     = 6
	kilo     = 3
	nano     = 9
	cent     = 2
	mebiBits = 20
)

// conversionOf returns the conversion of a source's unit into a canonical one; the source's own unit "" needs none. A
// "ratio?" is from 0 to 1 or from 0 to 100.
func conversionOf(source, unit string) (c Conversion, known bool) {
	switch source + " " + unit {
	case "Hz MHz":
		return Conversion{scale: -mega}, true
	case "J mJ", "us ns":
		return Conversion{scale: kilo}, true
	case "s ns":
		return Conversion{scale: nano}, true
	case "ratio %":
		return Conversion{scale: cent}, true
	case "ratio? %":
		return Conversion{scale: cent, guess: true}, true
	case "B MiB":
		return Conversion{mebi: true}, true
	}
	return Conversion{}, false
}

// Apply converts exactly where the result fits a Number, which powers of ten always do. A number of bytes
// becomes MiB exactly unless that takes more than 19 digits; then it is rounded to the nearest float64.
func (c Conversion) Apply(n events.Number) events.Number {
	if c.mebi {
		return toMebibytes(n)
	}
	return shiftExponent(n, int(c.scale))
}

// shiftExponent multiplies by a power of ten.
func shiftExponent(n events.Number, by int) events.Number {
	if n.Mantissa != 0 {
		n.Exponent += int16(by)
	}
	return n
}

// toMebibytes divides by 2^20. Behind the point, 2^-d is 5^d × 10^-d.
func toMebibytes(n events.Number) events.Number {
	bytes, ok := wholeInt64(n)
	if !ok {
		return shortestDecimal(n.Float() / (1 << mebiBits))
	}
	if bytes == 0 {
		return events.Number{}
	}
	twos := min(bits.TrailingZeros64(uint64(bytes)), mebiBits)
	bytes >>= twos
	digits := mebiBits - twos
	for range digits {
		if bytes > maxInt/5 || bytes < -maxInt/5 {
			return shortestDecimal(n.Float() / (1 << mebiBits))
		}
		bytes *= 5
	}
	return shiftExponent(events.Int(bytes), -digits)
}

const maxInt = 1<<63 - 1

// shortestDecimal gives the shortest decimal that means f.
func shortestDecimal(f float64) events.Number {
	n, err := events.ParseNumber(strconv.FormatFloat(f, 'g', -1, 64))
	if err != nil { // not reached: a Number has no infinities, and dividing it makes none
		return events.Number{}
	}
	return n
}

// wholeInt64 gives the number as an int64, if it is one.
func wholeInt64(n events.Number) (int64, bool) {
	v := n.Mantissa
	if n.Exponent < 0 || n.Exponent > 18 {
		return 0, v == 0
	}
	for range n.Exponent {
		if v > maxInt/10 || v < -maxInt/10 {
			return 0, false
		}
		v *= 10
	}
	return v, true
}
