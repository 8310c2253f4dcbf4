package smiapps

import (
	"bytes"
	"fmt"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// worker parses the rows of one file, in file order.
type worker struct {
	*header
	headerFault string // reason why the header before the row cannot be read; "" if it can
	opt         dialect.Options
	clock       *dialect.Clock
	table       *dialect.Identities
	origins     *dialect.Origins
	key         []byte
	source      dialect.Source
}

func newWorker(h *header, opt dialect.Options) *worker {
	w := &worker{header: h, opt: opt, clock: dialect.NewClock(opt), table: dialect.NewIdentities()}
	w.origins = dialect.NewOrigins(opt, w.table)
	return w
}

// Parse appends the row's records or rejection to out.
func (w *worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	fault := row.Fault
	if fault == nil && Match(row.Cells) {
		w.switchHeader(row, out)
		return
	}
	if fault == nil && w.headerFault != "" {
		fault = &rows.Rejection{Line: row.Line, Text: rows.Excerpt(row.Text), Reason: w.headerFault}
	}
	if fault == nil {
		fault = w.fitRow(row)
	}
	if fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	w.parseRow(row, out)
}

// switchHeader takes a header in the middle: the rows after it have its columns.
func (w *worker) switchHeader(row *rows.Row, out *dialect.Parsed) {
	h, err := readHeader(row.Cells, w.opt)
	if err != nil {
		w.headerFault = fmt.Sprintf("the header on line %d cannot be read: %v", row.Line, err)
		out.Reject(row.Line, "", row.Text, "a header that cannot be read: "+err.Error())
		return
	}
	w.header, w.headerFault = h, ""
	w.origins = dialect.NewOrigins(w.opt, w.table)
	out.Skipped++
}

func (w *worker) parseRow(row *rows.Row, out *dialect.Parsed) {
	number := row.Cells[w.pid]
	if _, err := strconv.ParseUint(string(number), 10, 32); err != nil {
		out.Reject(row.Line, "pid", number, "a process's number is digits; is there a separator in a cell before it?")
		return
	}
	from := w.lookupOrigin(row.Cells)
	if from.Fault != nil {
		out.Refuse(row, *from.Fault)
		return
	}
	at, ok := w.readTime(row, out)
	if !ok {
		return
	}
	out.Host = from.Host
	for _, warning := range from.Warnings {
		warning.Line = row.Line
		out.Warnings = append(out.Warnings, warning)
	}
	w.addReading(row, from, at, out)
	w.addAbsences(row, from, at, out)
}

// addAbsences adds records for the cells beside the memory that hold the reason of a missing value, such as a process
// that may not be named.
func (w *worker) addAbsences(row *rows.Row, from *dialect.Origin, at events.Timestamp, out *dialect.Parsed) {
	for i, c := range w.columns {
		text := row.Cells[i]
		if c.role != origin && c.role != label && c.role != process {
			continue
		}
		if c.Field == dialect.Host && len(text) > 0 && text[0] != '[' { // a host may have the name of a token: NA
			continue
		}
		if reason := metric.Token(text); reason != events.Present {
			m, _, _ := metric.Lookup(c.Name)
			out.Add(events.Record{
				Identity: from.For(w.usage.Parts), Metric: m.Name, Source: c.Name, At: at, Text: text,
				Value: events.Value{Absent: reason, Raw: string(text)},
			})
		}
	}
}

// readTime returns the time of a row, or false if it rejected the row.
func (w *worker) readTime(row *rows.Row, out *dialect.Parsed) (events.Timestamp, bool) {
	var column string
	var text []byte // an empty text means Options.At
	if w.time >= 0 {
		column, text = w.columns[w.time].Name, row.Cells[w.time]
	}
	instant, ok := w.clock.ReadRow(row.Line, column, text, out)
	return instant.At, ok
}

// addReading adds the record of a row.
func (w *worker) addReading(row *rows.Row, from *dialect.Origin, at events.Timestamp, out *dialect.Parsed) {
	name, text := w.columns[w.memory].Name, row.Cells[w.memory]
	number := bytes.TrimSpace(bytes.TrimSuffix(text, []byte("MiB")))
	value, err := w.usage.Read(metric.Conversion{}, number)
	if err != nil {
		out.Reject(row.Line, name, text, "the memory of a process is written as 15690 MiB, or in digits alone")
		return
	}
	if value.Absent != events.Present {
		value.Raw = string(text)
	}
	out.Add(events.Record{
		Identity: from.For(w.usage.Parts), Metric: w.usage.Name, Source: name, At: at, Value: value, Text: text,
	})
}

// lookupOrigin returns a row's origin. Each process of a GPU is an origin of its own.
func (w *worker) lookupOrigin(cells [][]byte) *dialect.Origin {
	w.key = w.key[:0]
	for i := range w.columns {
		if w.columns[i].ofOrigin() {
			w.key = append(append(w.key, cells[i]...), 0) // a row with a NUL is a fault
		}
	}
	if o := w.origins.Get(w.key); o != nil {
		return o
	}
	w.source.Reset()
	for i, c := range w.columns {
		if c.ofOrigin() && (c.Field != dialect.Label || isLabelText(cells[i])) {
			w.source.Column(c.Field, c.Rank, c.Name, cells[i])
		}
	}
	return w.origins.Learn(w.key, &w.source)
}

func (c *column) ofOrigin() bool {
	return c.role == origin || c.role == label || c.role == pid || c.role == process
}

// isLabelText reports whether a text is a label's value: no word for a missing value, and no masked number of zeros.
func isLabelText(text []byte) bool {
	const masked = 8
	return metric.Token(text) == events.Present && (len(text) < masked || len(bytes.Trim(text, "0")) > 0)
}
