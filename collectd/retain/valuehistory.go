package retain

import (
	"time"

	"telemetry-pipeline/projections"
)

// aged is a value that others learn of with some delay. It only grows.
type aged[T int64 | projections.Window] struct {
	known []dated[T] // in order of time
}

type dated[T any] struct {
	value T
	at    time.Time
}

// forgetAfter is how far back a value is known.
const forgetAfter = 10 * time.Minute

// set notes the value of now.
func (a *aged[T]) set(v T, now time.Time) {
	if n := len(a.known); n == 0 || a.known[n-1].value != v {
		a.known = append(a.known, dated[T]{v, now})
	}
	for len(a.known) > 1 && now.Sub(a.known[1].at) > forgetAfter {
		a.known = a.known[1:]
	}
}

// before gives the value that was there at some time already; false when none was.
func (a *aged[T]) before(at time.Time) (v T, known bool) {
	for i := len(a.known) - 1; i >= 0; i-- {
		if !a.known[i].at.After(at) {
			return a.known[i].value, true
		}
	}
	return v, false
}
