package smiquery

import (
	"bytes"
	"fmt"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// worker parses the rows of one file, in file order.
type worker struct {
	*header
	headerFault string // reason why the header before the row cannot be read; "" if it can
	opt         dialect.Options
	quoted      bool // the cells are in quotes, which nvidia-smi does not write
	clock       *dialect.Clock
	sampler     *sampler
	table       *dialect.Identities
	origins     *dialect.Origins
	parsed      []cell // of the row
	key         []byte
	source      dialect.Source
}

func newWorker(h *header, opt dialect.Options, quoted bool) *worker {
	w := &worker{
		header: h, opt: opt, quoted: quoted,
		clock: dialect.NewClock(opt), sampler: newSampler(opt), table: dialect.NewIdentities(),
	}
	w.origins = dialect.NewOrigins(opt, w.table)
	return w
}

// Parse appends the row's records or rejections to out.
func (w *worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	if row.Fault != nil {
		out.Rejections = append(out.Rejections, *row.Fault)
		return
	}
	if w.quoted {
		unquoteCells(row.Cells)
	}
	if isHeaderRow(row.Cells, w.time) {
		w.switchHeader(row, out)
		return
	}
	if w.headerFault != "" {
		out.Reject(row.Line, "", row.Text, w.headerFault)
		return
	}
	if fault := row.Fit(len(w.columns)); fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	w.parseRow(row, out)
}

// unquoteCells removes the quotes of cells that a spreadsheet or a script added; nvidia-smi never does.
func unquoteCells(cells [][]byte) {
	for i, cell := range cells {
		if n := len(cell); n > 1 && cell[0] == '"' && cell[n-1] == '"' {
			cells[i] = bytes.TrimSpace(cell[1 : n-1])
		}
	}
}

// switchHeader takes a header in the middle: the rows after it have its columns.
func (w *worker) switchHeader(row *rows.Row, out *dialect.Parsed) {
	h, err := readHeader(row.Cells, w.opt)
	switch {
	case err != nil:
		w.headerFault = fmt.Sprintf("the header on line %d cannot be read: %v", row.Line, err)
		out.Reject(row.Line, "", row.Text, "a header that cannot be read: "+err.Error())
		return
	case !slices.Equal(h.cells, w.cells):
		w.header = h
		w.origins = dialect.NewOrigins(w.opt, w.table)
	}
	w.headerFault = ""
	out.Skipped++
}

// parseRow parses a row of the header's width.
func (w *worker) parseRow(row *rows.Row, out *dialect.Parsed) {
	from := w.lookupOrigin(row.Cells)
	if from.Fault != nil {
		out.Refuse(row, *from.Fault)
		return
	}
	at, ok := w.readTime(row, from, out)
	if !ok {
		return
	}
	out.Host = from.Host
	for _, warning := range from.Warnings {
		warning.Line = row.Line
		out.Warnings = append(out.Warnings, warning)
	}
	w.addReadings(row, from, at, out)
	w.checks.addWarnings(w.header, w.parsed, row, out)
}

// readTime returns the time of a row, or false if it rejected the row.
func (w *worker) readTime(row *rows.Row, from *dialect.Origin, out *dialect.Parsed) (events.Timestamp, bool) {
	if w.time < 0 {
		var at events.Timestamp
		sampled, err := w.sampler.nextTime(from.Host, from.For(0))
		if err == nil {
			at, err = w.clock.TimestampOf(sampled)
		}
		if err != nil {
			out.Reject(row.Line, "", row.Text, err.Error())
		}
		return at, err == nil
	}
	instant, ok := w.clock.ReadRow(row.Line, w.columns[w.time].Name, row.Cells[w.time], out)
	return instant.At, ok
}

// addReadings adds a record or a rejection for each cell that has one.
func (w *worker) addReadings(row *rows.Row, from *dialect.Origin, at events.Timestamp, out *dialect.Parsed) {
	before := len(out.Records) + len(out.Rejections)
	for i := range w.parsed {
		c, text := &w.columns[i], row.Cells[i]
		switch read := &w.parsed[i]; read.kind {
		case rejected:
			out.Reject(row.Line, c.Name, text, read.err.Error())
		case measured:
			out.Add(events.Record{
				Identity: from.For(c.metric.Parts), Metric: c.metric.Name, Source: c.Name, At: at, Value: read.value, Text: text,
			})
		}
	}
	if mask, ok := w.reasons.foldMask(w.parsed); ok {
		r := w.reasons.maskRecord(mask)
		r.Identity, r.At = from.For(w.reasons.mask.Parts), at
		out.Add(r)
	}
	if len(out.Records)+len(out.Rejections) == before {
		out.Reject(row.Line, "", row.Text, "the row has no readings")
	}
}

// lookupOrigin reads the cells of a row and returns its origin.
func (w *worker) lookupOrigin(cells [][]byte) *dialect.Origin {
	w.parsed, w.key = w.parsed[:0], w.key[:0]
	for i := range w.columns {
		read := w.columns[i].readCell(cells[i])
		w.parsed = append(w.parsed, read)
		if read.kind == identifying {
			w.key = append(w.key, cells[i]...)
		}
		w.key = append(w.key, 0) // a row with a NUL is a fault
	}
	if o := w.origins.Get(w.key); o != nil {
		return o
	}
	w.source.Reset()
	for i := range w.columns {
		if c := &w.columns[i]; w.parsed[i].kind == identifying {
			w.source.Column(c.Field, c.Rank, c.labelName(), cells[i])
		}
	}
	return w.origins.Learn(w.key, &w.source)
}

// labelName returns the name under which a column's text is kept, or by which the column is found in the file when a
// rejection names it.
func (c *column) labelName() string {
	if c.Field == dialect.Label {
		return c.metric.Name
	}
	return c.Name
}
