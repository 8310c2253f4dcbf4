package metric

import (
	"math/bits"
	"strconv"

	"telemetry-pipeline/events"
)

// Conversion converts a source's reading into the canonical unit. The zero Conversion returns readings unchanged.
type Conversion struct {
	scale int8 // × 10^scale
	mebi  bool // ÷ 2^20
	guess bool // 0–1 or 0–100, decided by the text of the reading
}

// Exact reports whether readings stay unchanged.
func (c Conversion) Exact() bool { return c == Conversion{} }

// The powers of ten of the catalogue's conversions, and the exponent of two of a MiB.
const (
	mega     = 6
	kilo     = 3
	nano     = 9
	cent     = 2
	mebiBits = 20
)

// conversionOf returns the conversion of a source's unit into a canonical one; source is "" for the canonical unit. A
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

// Apply returns the converted reading. The result is exact if it fits a Number, which is always so for powers of ten.
// A number of bytes becomes MiB exactly unless that takes more than 19 digits; then it is rounded to the nearest
// float64.
func (c Conversion) Apply(n events.Number) events.Number {
	if c.mebi {
		return toMebibytes(n)
	}
	return shiftExponent(n, int(c.scale))
}

// shiftExponent returns n × 10^by.
func shiftExponent(n events.Number, by int) events.Number {
	if n.Mantissa != 0 {
		n.Exponent += int16(by)
	}
	return n
}

// toMebibytes returns n / 2^20. For the fraction it uses 2^-d = 5^d × 10^-d.
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

// shortestDecimal returns the shortest decimal that parses to f.
func shortestDecimal(f float64) events.Number {
	n, err := events.ParseNumber(strconv.FormatFloat(f, 'g', -1, 64))
	if err != nil { // not reached: a Number is finite, and so is the quotient
		return events.Number{}
	}
	return n
}

// wholeInt64 returns the number as an int64, or false if it is not an integer or does not fit.
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
