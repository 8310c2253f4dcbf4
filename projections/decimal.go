package projections

import (
	"math"

	"telemetry-pipeline/events"
)

// normal is mantissa × 10^exponent in the form in which equal numbers are ==.
func normal(mantissa int64, exponent int16) events.Number {
	if mantissa == 0 {
		return events.Number{}
	}
	for mantissa%10 == 0 && exponent < math.MaxInt16 {
		mantissa /= 10
		exponent++
	}
	return events.Number{Mantissa: mantissa, Exponent: exponent}
}

// rescale gives n's mantissa at a smaller exponent; ok is false when an int64 cannot hold it.
func rescale(n events.Number, exponent int16) (mantissa int64, ok bool) {
	mantissa = n.Mantissa
	if mantissa == 0 {
		return 0, true
	}
	for e := n.Exponent; e > exponent; e-- {
		if mantissa > math.MaxInt64/10 || mantissa < math.MinInt64/10 {
			return 0, false
		}
		mantissa *= 10
	}
	return mantissa, true
}
