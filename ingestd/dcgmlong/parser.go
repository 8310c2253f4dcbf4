package dcgmlong

import (
	"bytes"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Parser holds one file's columns. It is safe for concurrent use; its workers are not.
type Parser struct {
	*columns
	opt           dialect.Options
	defaultMetric []byte            // the metric of rows that name none, if the sender supplies one
	generation    metric.Generation // of the file's names
	table         *dialect.Identities
}

// New reads the beginning of a file. An error refuses the file: it names a missing or duplicate column, and the
// remedy.
func New(f dialect.File, opt dialect.Options) (*Parser, error) {
	c, err := readColumns(f.Header, opt)
	if err != nil {
		return nil, err
	}
	return &Parser{
		columns: c, opt: opt, defaultMetric: bytes.TrimSpace([]byte(opt.Metric)),
		generation: dialect.Generation(f, opt), table: dialect.NewIdentities(),
	}, nil
}

// Worker returns a parser of rows for one goroutine. Workers of a Parser share identities.
func (p *Parser) Worker() *Worker {
	return &Worker{
		Parser:  p,
		clock:   dialect.NewClock(p.opt),
		origins: dialect.NewOrigins(p.opt, p.table, append([]string{"dcgm-long"}, p.names...)...),
		metrics: map[string]*namedMetric{},
	}
}

// Worker parses rows for one goroutine.
type Worker struct {
	*Parser
	clock   *dialect.Clock
	origins *dialect.Origins
	metrics map[string]*namedMetric
	key     []byte
	nameAt  int // position of the metric's name in the last row's labels
	source  dialect.Source
}

// namedMetric is a metric by its name in the file.
type namedMetric struct {
	source     string
	metric     metric.Metric
	conversion metric.Conversion
	fault      string
}

// Parse appends the row's record or rejection to out. A row's Fault is its rejection.
func (w *Worker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	origin, labelled, fault := w.findOrigin(row)
	if fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	var name []byte
	if w.metric >= 0 {
		name = bytes.TrimSpace(row.Cells[w.metric])
	}
	if origin.BadLabels != "" {
		out.Warn(row.Line, w.names[w.labels], row.Cells[w.labels], origin.BadLabels)
	}
	if origin.Fault != nil {
		out.Refuse(row, *origin.Fault)
		return
	}
	out.Host = origin.Host
	w.addReading(row, origin, name, labelled, out)
}

// addReading adds the record of a row whose origin is known.
func (w *Worker) addReading(row *rows.Row, origin *dialect.Origin, name, labelled []byte, out *dialect.Parsed) {
	instant, err := w.clock.Read(w.timeIn(row.Cells))
	if err != nil {
		out.Reject(row.Line, w.nameOf(w.time), w.timeIn(row.Cells), err.Error())
		return
	}
	out.ZoneAssumed = instant.ZoneAssumed
	if len(name) == 0 {
		name = labelled
	}
	if len(name) == 0 {
		name = w.defaultMetric
	}
	m := w.lookupMetric(name)
	if m.fault != "" {
		out.Reject(row.Line, w.nameOf(w.metric), name, m.fault)
		return
	}
	text := row.Cells[w.value]
	value, err := m.metric.Read(m.conversion, text)
	if err != nil {
		out.Reject(row.Line, w.names[w.value], text, err.Error())
		return
	}
	identity := origin.For(m.metric.Parts)
	if len(labelled) > 0 && !bytes.Equal(labelled, name) && w.lookupMetric(labelled).metric.Name != m.metric.Name {
		out.Warn(row.Line, labelOfName, labelled, dialect.ConflictReason(labelOfName))
		identity = origin.WithConflict(m.metric.Parts, dialect.ConflictLabel(labelOfName), string(labelled))
	}
	w.addWarnings(row, origin, instant, out)
	out.Add(events.Record{
		Identity: identity, Metric: m.metric.Name, Source: m.source, At: instant.At, Value: value, Text: text,
	})
}

// addWarnings adds the doubts about the row's origin and time.
func (w *Worker) addWarnings(row *rows.Row, origin *dialect.Origin, instant dialect.Instant, out *dialect.Parsed) {
	for _, warning := range origin.Warnings {
		warning.Line = row.Line
		out.Warnings = append(out.Warnings, warning)
	}
	if instant.Twice {
		out.Warn(row.Line, w.nameOf(w.time), w.timeIn(row.Cells), dialect.AmbiguousTime)
	}
}

// timeIn returns the time's cell, or nil where the sender supplies the time of all rows.
func (w *Worker) timeIn(cells [][]byte) []byte {
	if w.time < 0 {
		return nil
	}
	return cells[w.time]
}

// maxMetrics bounds the number of names that a worker caches.
const maxMetrics = 4096

// lookupMetric returns a metric by its name in the file.
func (w *Worker) lookupMetric(name []byte) *namedMetric {
	if m := w.metrics[string(name)]; m != nil {
		return m
	}
	if len(w.metrics) == maxMetrics {
		clear(w.metrics)
	}
	m := &namedMetric{source: string(name), fault: dialect.NameFault(name)}
	m.metric, m.conversion, _ = metric.Lookup(m.source)
	m.conversion = m.conversion.Of(w.generation)
	w.metrics[m.source] = m
	return m
}
