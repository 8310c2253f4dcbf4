package archive

import (
	"math"

	"telemetry-pipeline/events"
)

// tens holds the powers of ten that a float64 holds exactly. Never written.
var tens = [23]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// mantissa gives the whole number that value is at a scale (a power of ten), rounded: the one that
// number(mantissa, scale) came from, where exactly says so.
func mantissa(value float64, scale int) int64 {
	switch {
	case scale == 0:
		return int64(value)
	case scale < 0:
		return int64(math.RoundToEven(value * tens[-scale]))
	}
	return int64(math.RoundToEven(value / tens[scale]))
}

// exactly tells whether mantissa gives n back from its nearest float64 at its exponent. Beyond 2^53 it never
// does, and there int64(value) might not be defined.
func exactly(n events.Number, value float64) bool {
	const whole = 1 << 53
	return n.Mantissa == 0 || -whole <= n.Mantissa && n.Mantissa <= whole &&
		-len(tens) < int(n.Exponent) && int(n.Exponent) < len(tens) &&
		mantissa(value, int(n.Exponent)) == n.Mantissa
}
