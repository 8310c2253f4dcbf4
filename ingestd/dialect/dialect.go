package dialect

import (
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
)

// Options are what the sender or the receiver says about a file beside its text.
type Options struct {
	Zone *time.Location // zone of times that name none; nil: UTC
	Host string         // host of rows that name none; "": such rows are rejected, or the file when no column can name one
	Now  time.Time      // the receiver's time: a record more than MaxAhead after it is rejected; zero: not checked

	Columns  []string      // ?columns=: the header of a file that has none
	Metric   string        // ?metric=: what the readings of a file are whose columns do not say it
	At       time.Time     // ?ts=: the time of rows that name none; zero: not given
	Start    time.Time     // ?start=: the time of the first sample of a dialect without times; zero: not given
	Interval time.Duration // ?interval=: between the samples of such a dialect; zero: the dialect's own default
	Exporter string        // ?exporter_version=: which dcgm-exporter wrote the file, such as 4.9.0; "": told from its names
}

// MaxAhead is how far ahead of the receiver a record may be.
const MaxAhead = 24 * time.Hour

// Parsed collects what rows gave. Each Parse appends to the slices and sets Host and ZoneAssumed for its row.
type Parsed struct {
	Host        events.HostID    // of the last row; "" when it could not be told, and then the row gave no records
	ZoneAssumed bool             // the last row's time named no zone: Options.Zone was taken
	Records     []events.Record  // their Text aliases the rows' batch
	Rejections  []rows.Rejection // each cost a reading, or a row
	Warnings    []rows.Rejection // worth telling; no reading was lost
	Absent      int              // how many of Records have a reason instead of a number
	Skipped     int              // rows that are no readings by their nature: comments, families of other software
	Runs        []Run            // of the last row, where its records are of several hosts; Host is then that of the last run
}

// Run is the records of one host among those of a row.
type Run struct {
	Host    events.HostID
	Records int // so many, behind those of the run before
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

// Reject appends the verdict on a cell.
func (p *Parsed) Reject(line int, column string, text []byte, reason string) {
	p.Rejections = append(p.Rejections, rows.Rejection{Line: line, Column: column, Text: rows.Excerpt(text), Reason: reason})
}

// Refuse appends the verdict on a row by the Fault of its origin.
func (p *Parsed) Refuse(row *rows.Row, fault rows.Rejection) {
	fault.Line = row.Line
	if fault.Column == "" {
		fault.Text = rows.Excerpt(row.Text)
	}
	p.Rejections = append(p.Rejections, fault)
}

// Warn appends what is worth telling about a cell.
func (p *Parsed) Warn(line int, column string, text []byte, reason string) {
	p.Warnings = append(p.Warnings, rows.Rejection{Line: line, Column: column, Text: rows.Excerpt(text), Reason: reason})
}
