package dialect

import (
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
)

// Options are settings of the sender and the receiver that complete a file's text.
type Options struct {
	Zone *time.Location // zone of times that name none; nil: UTC
	Host string         // host of rows that name none; "": such rows are rejected, or the file when no column can name one
	Now  time.Time      // the receiver's time: a record more than MaxAhead after it is rejected; zero: not checked

	Columns  []string      // ?columns=: the header of a file that has none
	Metric   string        // ?metric=: the metric of a file whose columns do not name it
	At       time.Time     // ?ts=: the time of rows that name none; zero: not given
	Start    time.Time     // ?start=: the time of the first sample of a dialect without times; zero: not given
	Interval time.Duration // ?interval=: between the samples of such a dialect; zero: the dialect's own default
	Known    *KnownOrigins // of other files; nil: none
	Exporter string        // ?exporter_version=: the dcgm-exporter that wrote the file, such as 4.9.0; "": derived from its names
}

// MaxAhead is the longest time by which a record may be ahead of the receiver.
const MaxAhead = 24 * time.Hour

// Parsed collects the results of rows. Each Parse appends to the slices and sets Host and ZoneAssumed for its row.
type Parsed struct {
	Host        events.HostID    // of the last row; "" if it is unknown, and then the row has no records
	ZoneAssumed bool             // the last row's time named no zone: Options.Zone was taken
	Records     []events.Record  // their Text aliases the rows' batch
	Rejections  []rows.Rejection // each cost a reading, or a row
	Warnings    []rows.Rejection // doubts about readings that were kept
	Absent      int              // number of Records that have a reason instead of a number
	Skipped     int              // rows that are no readings by their nature: comments, families of other software
	Runs        []Run            // of the last row, where its records are of several hosts; Host is then the host of the last run
}

// Run is a run of consecutive records of one host within a row.
type Run struct {
	Host    events.HostID
	Records int // number of records, which follow the records of the run before
}

// Reset empties p and keeps its memory.
func (p *Parsed) Reset() {
	clear(p.Records)
	*p = Parsed{Records: p.Records[:0], Rejections: p.Rejections[:0], Warnings: p.Warnings[:0], Runs: p.Runs[:0]}
}

// Add appends a record.
func (p *Parsed) Add(r events.Record) {
	if r.Value.Absent != events.Present {
		p.Absent++
	}
	p.Records = append(p.Records, r)
}

// Reject appends a rejection of a cell.
func (p *Parsed) Reject(line int, column string, text []byte, reason string) {
	p.Rejections = append(p.Rejections, rows.Rejection{Line: line, Column: column, Text: rows.Excerpt(text), Reason: reason})
}

// Refuse appends a rejection of a row for the Fault of its origin.
func (p *Parsed) Refuse(row *rows.Row, fault rows.Rejection) {
	fault.Line = row.Line
	if fault.Column == "" {
		fault.Text = rows.Excerpt(row.Text)
	}
	p.Rejections = append(p.Rejections, fault)
}

// Warn appends a warning about a cell.
func (p *Parsed) Warn(line int, column string, text []byte, reason string) {
	p.Warnings = append(p.Warnings, rows.Rejection{Line: line, Column: column, Text: rows.Excerpt(text), Reason: reason})
}
