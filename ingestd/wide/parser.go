package wide

import (
	"bytes"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Parser holds one file's columns. It is safe for concurrent use; its workers are not.
type Parser struct {
	columns []column
	time    int  // -1: none, the sender supplies the time of all rows
	bounded bool // some readings are bounds of others
	opt     dialect.Options
	table   *dialect.Identities
}

// New reads the beginning of a file. An error refuses the file: it names a missing or duplicate column, and the
// remedy.
func New(f dialect.File, opt dialect.Options) (*Parser, error) {
	columns, time, err := readColumns(f.Header, opt)
	if err != nil {
		return nil, err
	}
	p := &Parser{columns: columns, time: time, opt: opt, table: dialect.NewIdentities()}
	generation := dialect.Generation(f, opt)
	for i := range columns {
		c := &columns[i]
		c.conversion = c.conversion.Of(generation)
		p.bounded = p.bounded || c.role == reading && dialect.Bounds(c.metric.Name)
	}
	return p, nil
}

// Worker returns a parser of rows for one goroutine. Workers of a Parser share identities.
func (p *Parser) Worker() *Worker {
	return &Worker{
		Parser:  p,
		clock:   dialect.NewClock(p.opt),
		origins: dialect.NewOrigins(p.opt, p.table, p.scope()...),
		numbers: make([]bool, len(p.columns)),
	}
}

// scope returns the texts on which origins depend.
func (p *Parser) scope() []string {
	texts := []string{"wide"}
	for i := range p.columns {
		texts = append(texts, p.columns[i].Name)
	}
	return texts
}

// Worker parses rows for one goroutine.
type Worker struct {
	*Parser
	clock   *dialect.Clock
	origins *dialect.Origins
	numbers []bool // for each of the row's unknown columns: whether its cell is a reading
	key     []byte
	source  dialect.Source
}

// Parse appends the row's records or rejections, or both, to out. A row's Fault is its rejection.
func (w *Worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	fault := row.Fault
	if fault == nil {
		fault = row.Fit(len(w.columns))
	}
	if fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	from := w.lookupOrigin(row.Cells)
	if from.Fault != nil {
		out.Refuse(row, *from.Fault)
		return
	}
	out.Host = from.Host
	at, ok := w.readTime(row, out)
	if !ok {
		return
	}
	w.addWarnings(row, from, out)
	w.addReadings(row, from, at, out)
}

// readTime returns the time of a row, or false if it rejected the row.
func (w *Worker) readTime(row *rows.Row, out *dialect.Parsed) (events.Timestamp, bool) {
	var column string
	var text []byte // an empty text means Options.At
	if w.time >= 0 {
		column, text = w.columns[w.time].Name, row.Cells[w.time]
	}
	instant, ok := w.clock.ReadRow(row.Line, column, text, out)
	return instant.At, ok
}

func (w *Worker) addWarnings(row *rows.Row, from *dialect.Origin, out *dialect.Parsed) {
	for i, c := range w.columns {
		if c.role == labels && from.BadLabels != "" {
			out.Warn(row.Line, c.Name, row.Cells[i], from.BadLabels)
		}
	}
	for _, warning := range from.Warnings {
		warning.Line = row.Line
		out.Warnings = append(out.Warnings, warning)
	}
}

// addReadings adds a record or a rejection for each metric cell.
func (w *Worker) addReadings(row *rows.Row, from *dialect.Origin, at events.Timestamp, out *dialect.Parsed) {
	first, before := len(out.Records), len(out.Records)+len(out.Rejections)
	for i := range w.columns {
		c := &w.columns[i]
		if c.role != reading && !w.numbers[i] {
			continue
		}
		text := row.Cells[i]
		value, err := c.metric.Read(c.conversion, text)
		if err != nil {
			out.Reject(row.Line, c.Name, text, err.Error())
			continue
		}
		out.Add(events.Record{
			Identity: from.For(c.metric.Parts), Metric: c.metric.Name, Source: c.Name, At: at, Value: value, Text: text,
		})
	}
	if len(out.Records)+len(out.Rejections) == before {
		out.Reject(row.Line, "", row.Text, "the row has no readings")
	}
	if w.bounded {
		out.CrossCheck(row.Line, first)
	}
}

// lookupOrigin returns a row's origin, and records which of its unknown cells are numbers.
func (w *Worker) lookupOrigin(cells [][]byte) *dialect.Origin {
	key := w.key[:0]
	for i := range w.columns {
		switch w.columns[i].role {
		case unknown:
			if w.numbers[i] = isNumber(cells[i]); w.numbers[i] {
				key = append(key, 0) // a row with a NUL is a fault
				continue
			}
		case origin, labels:
		default:
			continue
		}
		key = append(append(key, cells[i]...), 0)
	}
	w.key = key
	if o := w.origins.Get(key); o != nil {
		return o
	}
	return w.learnOrigin(cells)
}

// learnOrigin builds the origin of a row and adds it to the cache.
func (w *Worker) learnOrigin(cells [][]byte) *dialect.Origin {
	w.source.Reset()
	for i, c := range w.columns {
		switch c.role {
		case unknown:
			if !w.numbers[i] && metric.Token(cells[i]) == events.Present {
				w.source.Column(dialect.Label, c.Rank, c.Name, cells[i])
			}
		case origin:
			w.source.Column(c.Field, c.Rank, c.Name, cells[i])
		case labels:
			w.source.Labels(cells[i])
		}
	}
	return w.origins.Learn(w.key, &w.source)
}

// isNumber reports whether an unknown column's cell is a reading.
func isNumber(cell []byte) bool {
	cell = bytes.TrimSpace(cell)
	if len(cell) == 0 || cell[0] > '9' { // letters are above the digits; most texts begin with one
		return false
	}
	_, err := events.ParseNumber(cell)
	return err == nil
}
