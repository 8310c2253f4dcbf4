package projections

import (
	"cmp"
	"math"
	"strings"

	"telemetry-pipeline/events"
)

// The earliest and the last instant of a Timestamp.
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

// isStrictlyAscending reports whether a list ascends without repeats.
func isStrictlyAscending[T any](list []T, compare func(a, b *T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(&list[i-1], &list[i]) >= 0 {
			return false
		}
	}
	return true
}
