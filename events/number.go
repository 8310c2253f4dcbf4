package events

// Number is a decimal: Mantissa × 10^Exponent. Readings arrive as decimal text, and a decimal gives
// that text's meaning back exactly, which a float64 does not: 66.781 stays 66.781, and a counter past
// 2^53 keeps its last digit. A normalised Number has no trailing zero in its mantissa, and zero is
// {0, 0}; so two normalised Numbers are equal when they are ==.
type Number struct {
	Mantissa int64
	Exponent int16
}

// ParseNumber reads [+-]digits[.digits][e[+-]digits] (formats: no hex, no '_', no separators, no blanks).
// More digits than an int64 holds are rounded to the nearest float64 and written as its shortest decimal.
func ParseNumber[T string | []byte](text T) (Number, error) { panic("contract") }

// Int makes a Number of a whole value.
func Int(v int64) Number { panic("contract") }

// Float gives the nearest float64.
func (n Number) Float() float64 { panic("contract") }

// Compare orders by numeric value: -1, 0 or +1, exactly.
func (n Number) Compare(m Number) int { panic("contract") }

// Append writes the shortest plain text of the number, which is also a JSON number, and parses back to
// the same Number.
func (n Number) Append(dst []byte) []byte { panic("contract") }

// String is Append as a string.
func (n Number) String() string { return string(n.Append(nil)) }

// MarshalJSON writes a JSON number.
func (n Number) MarshalJSON() ([]byte, error) { return n.Append(nil), nil }
