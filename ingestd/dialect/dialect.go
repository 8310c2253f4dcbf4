package dialect

import (
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
)

// Options are what the sender or the receiver says about a file beside its text.
type Options struct {
	Zone *time.Location // zone of times that name none; nil: UTC
	Host string         // host of rows that name none; "": such rows are rejected, or the file when it has no host column
	Now  time.Time      // the receiver's time: later than MaxAhead after it is rejected; zero: not checked
}

// MaxAhead is how far ahead of the receiver a record may be, and Earliest is the first time that is believed.
const (
	MaxAhead = 24 * time.Hour
	Earliest = "2010-01-01T00:00:00Z"
)

// Parsed collects what rows gave. Parse appends to it; Host and ZoneAssumed are of the last row.
type Parsed struct {
	Host        events.HostID    // of the last row; "" when it could not be told
	ZoneAssumed bool             // the last row's time named no zone: Options.Zone was taken
	Records     []events.Record  // Text aliases the row's batch
	Rejections  []rows.Rejection // each cost a reading, or the row
	Warnings    []rows.Rejection // worth telling; nothing was lost
	Absent      int              // how many of Records have a reason instead of a number
}

// Reset empties p and keeps its memory.
func (p *Parsed) Reset() {
	clear(p.Records)
	*p = Parsed{Records: p.Records[:0], Rejections: p.Rejections[:0], Warnings: p.Warnings[:0]}
}
