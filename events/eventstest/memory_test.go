package eventstest_test

import (
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

func TestMemoryLog(t *testing.T) {
	eventstest.Run(t, func(t *testing.T) eventstest.Subject {
		l := eventstest.NewLog(events.Facts{Partitions: 4})
		const bound = 32 << 10
		l.SetWatchBytes(bound)
		return eventstest.Subject{Log: l, Put: l.Put, Delete: l.Delete, Compact: l.Compact, WatchBytes: bound}
	})
}
