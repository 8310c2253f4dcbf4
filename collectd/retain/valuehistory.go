package retain

import (
	"time"

	"telemetry-pipeline/projections"
)

// valueHistory is the recent past of a value that readers see with some delay. The value only grows.
type valueHistory[T int64 | projections.Window] struct {
	values []datedValue[T] // in order of time
}

type datedValue[T any] struct {
	value T
	at    time.Time
}

// forgetAfter is the age up to which values are known.
const forgetAfter = 10 * time.Minute

// record adds the value at now.
func (a *valueHistory[T]) record(v T, now time.Time) {
	if n := len(a.values); n == 0 || a.values[n-1].value != v {
		a.values = append(a.values, datedValue[T]{v, now})
	}
	for len(a.values) > 1 && now.Sub(a.values[1].at) > forgetAfter {
		a.values = a.values[1:]
	}
}

// valueAt returns the value at an instant, and false when none is known.
func (a *valueHistory[T]) valueAt(at time.Time) (v T, known bool) {
	for i := len(a.values) - 1; i >= 0; i-- {
		if !a.values[i].at.After(at) {
			return a.values[i].value, true
		}
	}
	return v, false
}
