package dcgmdmon

import (
	"bytes"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// worker parses the rows of one file.
type worker struct {
	host       events.HostID
	header     *header // nil below a header that cannot be read
	samples    *dialect.Samples
	sample     sample
	identities *identities
	cells      [][]byte
}

func newWorker(opt dialect.Options, h *header) *worker {
	return &worker{host: events.HostID(opt.Host), header: h, samples: dialect.NewSamples(opt), identities: newIdentities(opt)}
}

// Parse appends the results of a line to out.
func (w *worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = w.host, false
	if row.Fault != nil {
		out.Rejections = append(out.Rejections, *row.Fault)
		return
	}
	line := row.Cells[0]
	text := bytes.TrimSpace(line)
	switch {
	case isHeader(text):
		w.takeHeader(row.Line, line, out)
	case isUnits(text), bytes.HasPrefix(text, []byte("dmon was stopped")):
		out.Skipped++
	case bytes.HasPrefix(text, []byte("Error")):
		out.Reject(row.Line, "", line, "dcgmi reports an error; the values that it could not read are not in the file")
	case w.header == nil:
		out.Reject(row.Line, "", line, "the header above it cannot be read")
	default:
		w.parseRow(row.Line, line, out)
	}
}

// takeHeader sets the header of the rows below it.
func (w *worker) takeHeader(number int, line []byte, out *dialect.Parsed) {
	h, err := readHeader(line)
	w.header = h
	if err != nil {
		out.Reject(number, "", line, err.Error())
		return
	}
	out.Skipped++
}

// parseRow parses a line of cells.
func (w *worker) parseRow(number int, line []byte, out *dialect.Parsed) {
	e, cells, ok := w.header.splitRow(line, w.cells)
	w.cells = cells
	if !ok {
		out.Reject(number, "", line, fmt.Sprintf("the line is no row of an entity such as GPU 0 and %d cells: is it cut off, or a message of dcgmi?", len(w.header.columns)))
		return
	}
	if w.sample.endsBefore(&e) {
		w.samples.Next()
	}
	at, err := w.samples.At()
	if err != nil {
		out.Reject(number, "", line, err.Error())
		return
	}
	known := w.identities.identityOf(&e, w.header.columns, cells)
	if known.fault != nil {
		rejection := *known.fault
		rejection.Line = number
		out.Rejections = append(out.Rejections, rejection)
		return
	}
	for _, warning := range known.warnings {
		warning.Line = number
		out.Warnings = append(out.Warnings, warning)
	}
	before := len(out.Records) + len(out.Rejections)
	for i := range w.header.columns {
		w.addReading(number, &w.header.columns[i], cells[i], events.Record{Identity: known.identity, At: at}, out)
	}
	if len(out.Records)+len(out.Rejections) == before {
		out.Skipped++ // it has only texts
	}
}

// addReading completes and adds the record of a cell, unless the cell is a text.
func (w *worker) addReading(number int, c *column, text []byte, r events.Record, out *dialect.Parsed) {
	if c.isText(text) || len(text) == 0 && !c.metric.Known() {
		return
	}
	value, err := c.metric.Read(c.conversion, text)
	switch {
	case err != nil && bytes.HasSuffix(text, cutOff):
		err = errors.New("dcgmi cut the text off, so it cannot be known")
		fallthrough
	case err != nil:
		out.Reject(number, c.name, text, err.Error())
		return
	}
	r.Metric, r.Source, r.Value, r.Text = c.metric.Name, c.name, value, text
	out.Add(r)
}

// cutOff is the end of a text that dcgmi shortened.
var cutOff = []byte("...")

// isText reports whether a cell describes the entity and is no reading: its column names GPUs, or it is a text in a
// column that the catalogue does not know.
func (c *column) isText(text []byte) bool {
	if c.field != dialect.Label {
		return true
	}
	if c.metric.Known() || metric.Token(text) != events.Present {
		return false
	}
	_, err := events.ParseNumber(text)
	return err != nil && !startsNumber(text) && isPrintable(text)
}

// startsNumber reports whether a text is a shortened number rather than a text.
func startsNumber(text []byte) bool {
	return bytes.IndexByte([]byte("+-.0123456789"), text[0]) >= 0 && bytes.HasSuffix(text, cutOff)
}

func isPrintable(text []byte) bool {
	return utf8.Valid(text) && bytes.IndexFunc(text, unicode.IsControl) < 0
}
