package foreign

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
	"telemetry-pipeline/ingestd/wide"
)

// decoded is the content of a value.
type decoded struct {
	events      []events.Event
	rows        int
	faults      int      // readings and rows that cannot be used
	firstFaults []string // the first of them
	stack       []byte   // where decoding it panicked
}

// maxListedFaults bounds the faults of a value that are listed one by one.
const maxListedFaults = 3

func (d *decoded) addFault(text string) {
	if d.faults++; len(d.firstFaults) < maxListedFaults {
		d.firstFaults = append(d.firstFaults, text)
	}
}

// faultText returns the faults of a value as one text.
func (d *decoded) faultText() string {
	text := strings.Join(d.firstFaults, "; ")
	if more := d.faults - len(d.firstFaults); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if n := len(d.events); n > 0 {
		text += fmt.Sprintf(" (of %d rows; what else they say is in the log)", d.rows)
	}
	return text
}

// decodeValue returns the events of a value, the same ones at each call with the value. now bounds the times that are
// believed. A panic costs the value: it is a defect of ours, and would meet every collector in turn.
func decodeValue(f eventlog.Foreign, rules events.CutRules, now time.Time) (d decoded) {
	defer func() {
		if p := recover(); p != nil {
			d = decoded{faults: 1, firstFaults: []string{fmt.Sprintf("reading it panicked: %v", p)}, stack: debug.Stack()}
		}
	}()
	n := parseName(f.Name, now)
	p := newParser(f, n, rules, now)
	for r, err := range rowsOf(f.Value) {
		d.rows++
		if err == nil {
			err = p.parseRow(&d, r)
		}
		switch {
		case errors.Is(err, errNotUTF8), errors.Is(err, errNotJSON):
			d.addFault(err.Error())
		case err != nil:
			d.addFault(fmt.Sprintf("row %d: %v", d.rows, err))
		}
	}
	d.events = append(append(d.events, p.named.Flush()...), p.assumed.Flush()...)
	if d.faults == 0 && len(d.events) == 0 {
		d.addFault("it has no rows")
	}
	return d
}

// parser parses the rows of one value.
type parser struct {
	key     keyName
	opt     dialect.Options
	head    []byte
	workers map[string]dialect.Worker // by header
	parsed  dialect.Parsed

	named, assumed *events.Cutter // as for uploads: for rows with a zone in their time, and for others
}

func newParser(f eventlog.Foreign, n keyName, rules events.CutRules, now time.Time) *parser {
	upload := events.UploadID(strings.ToValidUTF8(f.Name[:min(len(f.Name), maxUpload)], "\uFFFD"))
	return &parser{
		key: n, opt: dialect.Options{Host: n.host, At: n.at, Now: now}, head: f.Value[:min(len(f.Value), maxHead)],
		workers: map[string]dialect.Worker{},
		named:   events.NewCutter(rules, upload, ""), assumed: events.NewCutter(rules, upload, "UTC"),
	}
}

const (
	maxUpload  = 200      // bytes of a key that an event carries along
	maxHead    = 64 << 10 // bytes that are searched for the generation of metric names
	maxWorkers = 256      // headers that are remembered
)

// parseRow parses a row and cuts events. It returns an error when the whole row cannot be used.
func (p *parser) parseRow(d *decoded, r row) error {
	p.completeRow(&r)
	worker, err := p.workerFor(r.header)
	if err != nil {
		return err
	}
	p.parsed.Reset()
	worker.Parse(&rows.Row{Line: d.rows, Size: r.size, Cells: r.cells}, &p.parsed)
	for i := range p.parsed.Rejections {
		rejection := &p.parsed.Rejections[i]
		if rejection.Column == "" {
			d.addFault(fmt.Sprintf("row %d: %s", d.rows, rejection.Reason))
			continue
		}
		d.addFault(fmt.Sprintf("row %d, field %.64s, %q: %s", d.rows, rejection.Column, rejection.Text, rejection.Reason))
	}
	if p.parsed.Host == "" {
		return nil // rejected
	}
	cutter := p.named
	if p.parsed.ZoneAssumed {
		cutter = p.assumed
	}
	d.events = append(d.events, cutter.Row(p.parsed.Host, r.size, p.parsed.Records)...)
	return nil
}

// completeRow removes blank time, host and GPU fields, so that the key supplies them, and adds the GPU of the key to
// a row that names none.
func (p *parser) completeRow(r *row) {
	kept := 0
	for i, column := range r.header {
		blank := len(bytes.TrimSpace(r.cells[i])) == 0
		if blank && (hasField([][]byte{column}, dialect.Time, dialect.Host) || namesGPU([][]byte{column})) {
			continue
		}
		r.header[kept], r.cells[kept] = column, r.cells[i]
		kept++
	}
	r.header, r.cells = r.header[:kept], r.cells[:kept]
	if p.key.gpu == "" || namesGPU(r.header) || r.hasEntityLabel() {
		return
	}
	column := "gpu_id"
	if strings.HasPrefix(p.key.gpu, "GPU-") || strings.HasPrefix(p.key.gpu, "MIG-") {
		column = "uuid"
	}
	r.header, r.cells = append(r.header, []byte(column)), append(r.cells, []byte(p.key.gpu))
}

// workerFor returns the parser for rows of a header.
func (p *parser) workerFor(header [][]byte) (dialect.Worker, error) {
	var key []byte
	for _, name := range header {
		key = append(append(key, name...), 0)
	}
	if w := p.workers[string(key)]; w != nil {
		return w, nil
	}
	w, err := openWorker(dialect.File{Header: header, Head: p.head}, p.opt)
	if err != nil {
		return nil, err
	}
	if len(p.workers) == maxWorkers {
		clear(p.workers)
	}
	p.workers[string(key)] = w
	return w, nil
}

// openWorker returns a long parser for a row that names a metric and has a value, else a wide one.
func openWorker(f dialect.File, opt dialect.Options) (dialect.Worker, error) {
	if hasField(f.Header, dialect.Metric) && hasField(f.Header, dialect.Value) || dcgmlong.Match(f.Header) {
		p, err := dcgmlong.New(f, opt)
		if err != nil {
			return nil, err
		}
		return p.Worker(), nil
	}
	p, err := wide.New(f, opt)
	if err != nil {
		return nil, err
	}
	return p.Worker(), nil
}

func namesGPU(header [][]byte) bool {
	return hasField(header, dialect.UUID, dialect.Index, dialect.PCI, dialect.Device)
}

// hasEntityLabel reports whether the labels of a row name a GPU, or a part of the host beside its GPUs.
func (r *row) hasEntityLabel() bool {
	for i, column := range r.header {
		if !hasField([][]byte{column}, dialect.LabelsRaw) {
			continue
		}
		labels, _ := dialect.ParseLabels(string(r.cells[i])) // the dialect reports faults of labels
		if slices.ContainsFunc(labels, func(l events.Label) bool {
			return namesGPU([][]byte{[]byte(l.Name)}) || slices.Contains([]string{"nvswitch", "cpu", "cpucore"}, l.Name)
		}) {
			return true
		}
	}
	return false
}

// hasField reports whether a header has a column for any of the fields.
func hasField(header [][]byte, fields ...dialect.Field) bool {
	return slices.ContainsFunc(header, func(name []byte) bool {
		f, _ := dialect.FieldOf(string(name))
		return slices.Contains(fields, f)
	})
}
