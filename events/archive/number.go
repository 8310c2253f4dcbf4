package archive

import (
	"math"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
)

// tens holds the powers of ten that a float64 holds exactly. Never written.
var tens = [23]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// mantissa returns value divided by ten to the power of scale, rounded to a whole number. If isExact is true for a number,
// that is the number's mantissa.
func mantissa(value float64, scale int) int64 {
	switch {
	case scale == 0:
		return int64(value)
	case scale < 0:
		return int64(math.RoundToEven(value * tens[-scale]))
	}
	return int64(math.RoundToEven(value / tens[scale]))
}

// isExact reports whether mantissa recovers n from its nearest float64 at its exponent. It reports false beyond 2^53, where
// int64(value) might not be defined.
func isExact(n events.Number, value float64) bool {
	const whole = 1 << 53
	return n.Mantissa == 0 || -whole <= n.Mantissa && n.Mantissa <= whole &&
		-len(tens) < int(n.Exponent) && int(n.Exponent) < len(tens) &&
		mantissa(value, int(n.Exponent)) == n.Mantissa
}

// exactText returns a decimal text of the number that parseExact parses exactly: the shortest, or the unchanged mantissa and
// exponent for a number whose shortest text has an exponent beyond the range of Number.
func exactText(n events.Number) string {
	text := n.String()
	if back, err := events.ParseNumber(text); err == nil && back == events.NumberOf(n.Mantissa, n.Exponent) {
		return text
	}
	return strconv.FormatInt(n.Mantissa, 10) + "e" + strconv.Itoa(int(n.Exponent))
}

func parseExact(text string) (events.Number, error) {
	n, err := events.ParseNumber(text)
	if err == nil {
		return n, nil
	}
	whole, power, _ := strings.Cut(text, "e")
	m, err1 := strconv.ParseInt(whole, 10, 64)
	e, err2 := strconv.ParseInt(power, 10, 16)
	if err1 != nil || err2 != nil {
		return events.Number{}, err
	}
	return events.NumberOf(m, int16(e)), nil
}
