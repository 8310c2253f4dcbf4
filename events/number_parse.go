package events

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

// ParseNumber parses [+-]digits[.digits][e[+-]digits], with 'e' or 'E'; hex, '_', separators and blanks are errors. A
// number whose digits exceed an int64 is rounded to the shortest decimal of the nearest float64. The result is
// normalised. ParseNumber allocates only for such long numbers and for errors.
func ParseNumber[T string | []byte](text T) (Number, error) {
	if n, ok := parsePlain(text); ok {
		return n, nil
	}
	return parseLong(text)
}

// parsePlain parses digits[.digits] with an optional sign, if the text is short enough that nothing overflows. Nearly
// all readings have this form.
func parsePlain[T string | []byte](text T) (Number, bool) {
	if len(text) == 0 || len(text) > 18 {
		return Number{}, false
	}
	i := signWidth(text)
	start, mantissa := i, int64(0)
	for ; i < len(text) && text[i]-'0' <= 9; i++ {
		mantissa = mantissa*10 + int64(text[i]-'0')
	}
	if i == start {
		return Number{}, false
	}
	fraction := 0
	if i < len(text) {
		if text[i] != '.' || i+1 == len(text) {
			return Number{}, false
		}
		fraction = len(text) - i - 1
		for i++; i < len(text); i++ {
			if text[i]-'0' > 9 {
				return Number{}, false
			}
			mantissa = mantissa*10 + int64(text[i]-'0')
		}
	}
	if text[0] == '-' {
		mantissa = -mantissa
	}
	return NumberOf(mantissa, int16(-fraction)), true
}

func signWidth[T string | []byte](text T) int {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		return 1
	}
	return 0
}

// significand accumulates digits: the digits so far are value × 10^zeros. Counting trailing zeros separately makes
// the result normalised and keeps 1000000000000000000000 exact.
type significand struct {
	value uint64
	zeros int
	limit uint64 // largest value
	over  bool   // the digits exceeded limit
}

func (s *significand) addDigit(digit byte) {
	if digit == 0 {
		if s.value != 0 {
			s.zeros++
		}
		return
	}
	if s.zeros+1 >= len(powers) && s.value != 0 {
		s.over = true
		return
	}
	if s.value != 0 {
		hi, lo := bits.Mul64(s.value, uint64(powers[s.zeros+1]))
		if hi != 0 || lo > s.limit {
			s.over = true
			return
		}
		s.value = lo
	}
	s.zeros = 0
	if s.value += uint64(digit); s.value > s.limit {
		s.over = true
	}
}

// parseLong parses any number and returns an error with advice for any other text.
func parseLong[T string | []byte](text T) (Number, error) {
	i := signWidth(text)
	s := significand{limit: math.MaxInt64}
	if i > 0 && text[0] == '-' {
		s.limit++
	}
	run := func() (count int) {
		for ; i < len(text) && text[i]-'0' <= 9; i++ {
			s.addDigit(text[i] - '0')
			count++
		}
		return count
	}
	ok, fraction := run() > 0, 0
	if ok && i < len(text) && text[i] == '.' {
		i++
		fraction = run()
		ok = fraction > 0
	}
	exponent := 0
	if ok && i < len(text) && text[i]|0x20 == 'e' {
		exponent, ok = parseExponent(text[i+1:])
		i = len(text)
	}
	if !ok || i < len(text) {
		return Number{}, fmt.Errorf("parsing number %.64q: write it as digits, with a decimal point and an exponent if need be",
			string(text))
	}
	if s.over {
		return roundNumber(string(text))
	}
	if s.value == 0 {
		return Number{}, nil
	}
	exponent += s.zeros - fraction
	if exponent < math.MinInt16 || exponent > math.MaxInt16 {
		return Number{}, outOfRange(string(text))
	}
	mantissa := int64(s.value)
	if text[0] == '-' {
		mantissa = -mantissa
	}
	return Number{mantissa, int16(exponent)}, nil
}

// parseExponent parses [+-]digits. Values beyond every Exponent are clamped, so that they do not overflow.
func parseExponent[T string | []byte](text T) (int, bool) {
	const enough = 1 << 40
	i, e := signWidth(text), 0
	if i == len(text) {
		return 0, false
	}
	for ; i < len(text); i++ {
		if text[i]-'0' > 9 {
			return 0, false
		}
		e = min(e*10+int(text[i]-'0'), enough)
	}
	if text[0] == '-' {
		e = -e
	}
	return e, true
}

// roundNumber parses a well-formed number with too many digits.
func roundNumber(text string) (Number, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f == 0 {
		return Number{}, outOfRange(text)
	}
	return parseLong(strconv.AppendFloat(nil, f, 'e', -1, 64))
}

func outOfRange(text string) error {
	return fmt.Errorf("parsing number %.64q: too large or too small to keep", text)
}
