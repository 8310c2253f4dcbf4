package projections

import (
	"math/big"
	"math/bits"
	"slices"
	"strconv"

	"telemetry-pipeline/events"
)

// decimalSum is the exact sum of decimals. It is the same in any order of additions, and a number that was added can be
// removed again. The zero value is the sum of nothing.
type decimalSum struct {
	count int
	terms []decimalTerm // sorted by exponent; no sum is zero
}

// decimalTerm is the sum of the mantissas that have an exponent.
type decimalTerm struct {
	exponent int16
	sum      int128
}

// clone returns a sum that changes on its own.
func (d decimalSum) clone() decimalSum {
	d.terms = slices.Clone(d.terms)
	return d
}

func (d *decimalSum) add(n events.Number) {
	d.count++
	d.addTerm(n.Exponent, int128Of(n.Mantissa))
}

func (d *decimalSum) remove(n events.Number) {
	d.count--
	d.addTerm(n.Exponent, int128Of(n.Mantissa).negated())
}

// addSum adds the numbers of another sum.
func (d *decimalSum) addSum(other decimalSum) {
	d.count += other.count
	for _, t := range other.terms {
		d.addTerm(t.exponent, t.sum)
	}
}

func (d *decimalSum) addTerm(exponent int16, v int128) {
	at, found := slices.BinarySearchFunc(d.terms, exponent, func(t decimalTerm, e int16) int { return int(t.exponent) - int(e) })
	if !found {
		d.terms = slices.Insert(d.terms, at, decimalTerm{exponent: exponent})
	}
	if d.terms[at].sum = d.terms[at].sum.plus(v); d.terms[at].sum == (int128{}) {
		d.terms = slices.Delete(d.terms, at, at+1)
	}
}

// float returns the nearest float64.
func (d decimalSum) float() float64 {
	if len(d.terms) == 0 {
		return 0
	}
	least := d.terms[0].exponent
	var sum, scale big.Int
	for _, t := range d.terms {
		scale.Exp(big.NewInt(10), big.NewInt(int64(t.exponent)-int64(least)), nil)
		sum.Add(&sum, scale.Mul(&scale, t.sum.big()))
	}
	text := append(sum.Append(nil, 10), 'e')
	v, _ := strconv.ParseFloat(string(strconv.AppendInt(text, int64(least), 10)), 64) // a sum out of range is infinite
	return v
}

// int128 is a signed integer of 128 bits in two's complement.
type int128 struct{ high, low uint64 }

func int128Of(v int64) int128 { return int128{uint64(v >> 63), uint64(v)} }

func (a int128) plus(b int128) int128 {
	low, carry := bits.Add64(a.low, b.low, 0)
	high, _ := bits.Add64(a.high, b.high, carry)
	return int128{high, low}
}

func (a int128) negated() int128 { return int128{^a.high, ^a.low}.plus(int128{0, 1}) }

func (a int128) big() *big.Int {
	v := new(big.Int).Lsh(big.NewInt(int64(a.high)), 64)
	return v.Add(v, new(big.Int).SetUint64(a.low))
}
