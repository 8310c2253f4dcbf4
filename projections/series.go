package projections

import (
	"time"

	"telemetry-pipeline/events"
)

// Window is an hour of record time, counted from the Unix epoch (negative before it).
type Window int64

// WindowSpan is how long a window is.
const WindowSpan = time.Hour

// WindowOf tells in which window an instant lies.
func WindowOf(at events.Timestamp) Window { panic("contract") }

// Start is the window's first instant; the next window's Start is its end.
func (w Window) Start() events.Timestamp { panic("contract") }

// Series is the set of records of one host in one window. Columns are sorted by (Entity, Metric, Source, Identity), their samples
// canonical: two equal sets of records are equal byte for byte.
type Series struct {
	Columns []Column
}

// Column is the records of one series under one source name and one identity.
type Column struct {
	Entity   events.Entity
	Metric   string
	Source   string
	Identity events.IdentityID
	events.Samples
}

// Add unites the records of other into s and returns those that s had not.
func (s *Series) Add(other Series) (added Series) { panic("contract") }

// Records counts the readings.
func (s *Series) Records() int { panic("contract") }

// Merge gives the set union of chunks of one window, in any order. It is fast where they follow each other in time, and may share
// memory with them.
func Merge(chunks ...Series) Series { panic("contract") }

// SeriesOf gives an event's plausible records by window.
func SeriesOf(ev *events.Event) map[Window]Series { panic("contract") }
