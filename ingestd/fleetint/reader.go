package fleetint

import (
	"bytes"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// reader holds the state for parsing rows of any of the files. Each worker has its own.
type reader struct {
	columns  []string
	at       []int
	clock    *dialect.Clock
	origins  *dialect.Origins
	source   dialect.Source
	key      []byte
	mentions mentions
}

func newReader(columns []string, at []int, opt dialect.Options, identities *dialect.Identities) *reader {
	return &reader{
		columns: columns, at: at,
		clock: dialect.NewClock(opt), origins: dialect.NewOrigins(opt, identities), mentions: newMentions(),
	}
}

// cellOf returns a row's cell of a column, trimmed.
func (r *reader) cellOf(row *rows.Row, column int) []byte {
	return bytes.TrimSpace(row.Cells[r.at[column]])
}

// rejectCell rejects a row for one of its cells.
func (r *reader) rejectCell(row *rows.Row, column int, reason string, out *dialect.Parsed) {
	out.Reject(row.Line, r.columns[column], r.cellOf(row, column), reason)
}

// worker parses rows for one goroutine.
type worker struct {
	parse  rowParser
	reader *reader
}

// Parse appends the row's record or a rejection to out.
func (w *worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	fault := row.Fault
	if fault == nil {
		fault = row.Fit(len(w.reader.columns))
	}
	if fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	w.parse(w.reader, row, out)
}

// readTime reads the row's time, which every file has in its first column.
func (r *reader) readTime(row *rows.Row, out *dialect.Parsed) (dialect.Instant, bool) {
	const column = 0
	text := r.cellOf(row, column)
	instant, err := r.clock.Read(text)
	if err != nil {
		r.rejectCell(row, column, err.Error(), out)
		return instant, false
	}
	out.ZoneAssumed = instant.ZoneAssumed
	if instant.Twice {
		out.Warn(row.Line, r.columns[column], text, dialect.AmbiguousTime)
	}
	return instant, true
}
