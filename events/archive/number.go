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

// isExact tells whether mantissa gives n back from its nearest float64 at its exponent. Beyond 2^53 it never
// does, and there int64(value) might not be defined.
func isExact(n events.Number, value float64) bool {
	const whole = 1 << 53
	return n.Mantissa == 0 || -whole <= n.Mantissa && n.Mantissa <= whole &&
		-len(tens) < int(n.Exponent) && int(n.Exponent) < len(tens) &&
		mantissa(value, int(n.Exponent)) == n.Mantissa
}

// exactText is the number's decimal text, by which parseExact gives it back: the shortest, or mantissa and exponent as
// they are for a number whose shortest text has an exponent beyond those that a Number has.
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
