// Package projectionstest helps tests to compare models.
package projectionstest

import (
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// WithoutAppends returns a live model without the times at which its events were appended, which differ between two runs
// of the same uploads. Readings ahead of their time stay apart.
func WithoutAppends(l projections.Live) projections.Live {
	l.Appended = 0
	l.Entities = slices.Clone(l.Entities)
	for i := range l.Entities {
		l.Entities[i].Appended = events.Timestamp(0)
	}
	return l
}

// LiveBytes returns the stored form of a live model without the times of appends.
func LiveBytes(l *projections.Live) []byte {
	model := WithoutAppends(*l)
	return projections.AppendLive(nil, &model)
}
