package projections

import (
	"cmp"
	"math"
	"strings"

	"telemetry-pipeline/events"
)

// The earliest and the last instant that a Timestamp can tell.
const (
	minTime events.Timestamp = math.MinInt64
	maxTime events.Timestamp = math.MaxInt64
)

// compareKey orders a series' columns.
func compareKey(a, b *Column) int {
	if c := a.Entity.Compare(b.Entity); c != 0 {
		return c
	}
	if c := strings.Compare(a.Metric, b.Metric); c != 0 {
		return c
	}
	if c := strings.Compare(a.Source, b.Source); c != 0 {
		return c
	}
	return cmp.Compare(a.Identity, b.Identity)
}

// strictly tells whether a list ascends without repeats.
func strictly[T any](list []T, compare func(a, b *T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(&list[i-1], &list[i]) >= 0 {
			return false
		}
	}
	return true
}
