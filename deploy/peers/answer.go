package main

import (
	"fmt"
	"math"
)

// sample names one number of an answer.
type sample struct {
	gpu, metric string
	at          int64 // milliseconds since 1970; of a bucket, its beginning
}

// answer holds the numbers of an answer by their names.
type answer map[sample]float64

// add adds a number, and refuses a second one of the same name.
func (a answer) add(s sample, value float64) error {
	if _, known := a[s]; known {
		return fmt.Errorf("%v is in the answer twice", s)
	}
	a[s] = value
	return nil
}

// Largest relative differences of two numbers that are equal: we round averages to 12 significant digits, and
// floating-point sums depend on the order. Readings are equal exactly.
const (
	exactly    = 0
	asAverages = 1e-9
)

// compareAnswers returns an error that names a difference, or nil when both have the same numbers.
func compareAnswers(ours, theirs answer, tolerance float64) error {
	if len(ours) == 0 {
		return fmt.Errorf("the answer is empty; the peer's has %d numbers", len(theirs))
	}
	for s, value := range ours {
		other, found := theirs[s]
		if !found {
			return fmt.Errorf("%v = %g is missing from the peer's answer (%d and %d numbers)", s, value, len(ours), len(theirs))
		}
		if math.Abs(value-other) > tolerance*max(math.Abs(value), math.Abs(other)) {
			return fmt.Errorf("%v is %g, and %g in the peer's answer", s, value, other)
		}
	}
	for s, value := range theirs {
		if _, found := ours[s]; !found {
			return fmt.Errorf("%v = %g of the peer is missing (%d and %d numbers)", s, value, len(ours), len(theirs))
		}
	}
	return nil
}
