package grafana

import (
	"bytes"
	"errors"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Rows returns the dialect with a row per reading, for detection.
func Rows() dialect.Grammar {
	return dialect.Grammar{
		Name:  "series-rows",
		Form:  rows.Loose,
		Match: func(header [][]byte) bool { _, ok := findColumns(header); return ok },
		Open: func(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
			c, ok := findColumns(f.Header)
			if !ok {
				return nil, errors.New("its columns are not Series, Time and Value")
			}
			identities := dialect.NewIdentities()
			if err := c.checkHead(f.Head, newResolver(opt, identities)); err != nil {
				return nil, err
			}
			return func() dialect.Worker { return newRowsWorker(c, opt, identities) }, nil
		},
	}
}

// columns holds the indices of a row's three cells.
type columns struct {
	names               []string
	series, time, value int
}

// findColumns returns the columns; ok is false if the header has others than these three.
func findColumns(header [][]byte) (c columns, ok bool) {
	at := func(name string) int {
		return slices.IndexFunc(header, func(cell []byte) bool { return hasName(cell, name) })
	}
	for _, cell := range header {
		c.names = append(c.names, string(bytes.TrimSpace(cell)))
	}
	c.series, c.time, c.value = at("series"), at("time"), at("value")
	return c, len(header) == 3 && c.series >= 0 && c.time >= 0 && c.value >= 0
}

// checkHead examines the rows at the beginning of the text, and refuses a file if it can use none of them: the sender
// has to supply more.
func (c columns) checkHead(head []byte, r *resolver) error {
	sc := rows.NewScanner(bytes.NewReader(head), rows.Options{Form: rows.Loose, BatchRows: 256})
	if _, ok, err := sc.Header(func(header [][]byte) bool { _, ok := findColumns(header); return ok }); !ok || err != nil {
		return nil // each row reports the fault itself
	}
	var first *series
	names := map[string]bool{}
	var batch rows.Batch
	for sc.Next(&batch) == nil {
		for row := range batch.Rows() {
			if row.Fault != nil || row.Fit(len(c.names)) != nil || names[string(row.Cells[c.series])] {
				continue
			}
			s := r.resolveSeries(row.Cells[c.series])
			if s.fault == "" {
				return nil
			}
			if names[s.name] = true; first == nil {
				first = s
			}
		}
	}
	if first == nil {
		return nil
	}
	return first.unusableError(len(names))
}

// rowsWorker parses rows for one goroutine.
type rowsWorker struct {
	columns
	clock    *dialect.Clock
	resolver *resolver
	known    map[string]*series
	bytes    int // of the names in known
}

func newRowsWorker(c columns, opt dialect.Options, identities *dialect.Identities) *rowsWorker {
	return &rowsWorker{columns: c, clock: dialect.NewClock(opt), resolver: newResolver(opt, identities), known: map[string]*series{}}
}

// Parse appends the row's record or a rejection to out; a gap is neither.
func (w *rowsWorker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed = "", false
	fault := row.Fault
	if fault == nil {
		fault = row.Fit(len(w.names))
	}
	if fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	s := w.lookupSeries(row.Cells[w.series])
	if s.fault != "" {
		out.Reject(row.Line, w.names[w.series], row.Cells[w.series], s.fault)
		return
	}
	out.Host = s.host
	instant, ok := w.clock.ReadRow(row.Line, w.names[w.time], row.Cells[w.time], out)
	if !ok {
		return
	}
	text := row.Cells[w.value]
	value, sampled, err := s.readCell(text)
	switch {
	case !sampled:
		out.Skipped++
		return
	case err != nil:
		out.Reject(row.Line, w.names[w.value], text, err.Error())
		return
	}
	s.addWarnings(row.Line, out)
	out.Add(s.newRecord(instant.At, value, text))
}

// maxNames bounds the bytes of the names that a worker caches, enough for some 20,000 series.
const maxNames = 8 << 20

func (w *rowsWorker) lookupSeries(text []byte) *series {
	if s := w.known[string(text)]; s != nil {
		return s
	}
	if w.bytes += len(text); w.bytes > maxNames {
		clear(w.known)
		w.bytes = len(text)
	}
	s := w.resolver.resolveSeries(text)
	w.known[s.name] = s
	return s
}

func (s *series) newRecord(at events.Timestamp, v events.Value, text []byte) events.Record {
	return events.Record{Identity: s.identity, Metric: s.metric.Name, Source: s.source, At: at, Value: v, Text: text}
}

// addWarnings adds the doubts about the series.
func (s *series) addWarnings(line int, out *dialect.Parsed) {
	for _, warning := range s.warnings {
		warning.Line = line
		out.Warnings = append(out.Warnings, warning)
	}
}
