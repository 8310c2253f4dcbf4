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

// decoded is what a value holds.
type decoded struct {
	events []events.Event
	rows   int
	faults int      // readings and rows that cannot be used
	told   []string // the first of them
	stack  []byte   // where decoding it panicked
}

// maxTold bounds how many faults of a value are told.
const maxTold = 3

func (d *decoded) fault(text string) {
	if d.faults++; len(d.told) < maxTold {
		d.told = append(d.told, text)
	}
}

// reason tells a person what is wrong with a value.
func (d *decoded) reason() string {
	text := strings.Join(d.told, "; ")
	if more := d.faults - len(d.told); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if n := len(d.events); n > 0 {
		text += fmt.Sprintf(" (of %d rows; what else they say is in the log)", d.rows)
	}
	return text
}

// decode makes events of a value, the same ones whenever it is called with it. now bounds the times that are believed.
// A panic costs the value: it is our mistake, and would meet every collector in turn.
func decode(f eventlog.Foreign, rules events.CutRules, now time.Time) (d decoded) {
	defer func() {
		if p := recover(); p != nil {
			d = decoded{faults: 1, told: []string{fmt.Sprintf("reading it panicked: %v", p)}, stack: debug.Stack()}
		}
	}()
	n := parseName(f.Name, now)
	p := newParser(f, n, rules, now)
	for r, err := range rowsOf(f.Value) {
		d.rows++
		if err == nil {
			err = p.row(&d, r)
		}
		switch {
		case errors.Is(err, errNotUTF8), errors.Is(err, errNotJSON):
			d.fault(err.Error())
		case err != nil:
			d.fault(fmt.Sprintf("row %d: %v", d.rows, err))
		}
	}
	d.events = append(append(d.events, p.named.Flush()...), p.assumed.Flush()...)
	if d.faults == 0 && len(d.events) == 0 {
		d.fault("it has no rows")
	}
	return d
}

// parser reads the rows of one value.
type parser struct {
	name    name
	opt     dialect.Options
	head    []byte
	workers map[string]dialect.Worker // by header
	parsed  dialect.Parsed

	named, assumed *events.Cutter // as uploads have them: of rows whose time named its zone, and of others
}

func newParser(f eventlog.Foreign, n name, rules events.CutRules, now time.Time) *parser {
	upload := events.UploadID(strings.ToValidUTF8(f.Name[:min(len(f.Name), maxUpload)], "\uFFFD"))
	return &parser{
		name: n, opt: dialect.Options{Host: n.host, At: n.at, Now: now}, head: f.Value[:min(len(f.Value), maxHead)],
		workers: map[string]dialect.Worker{},
		named:   events.NewCutter(rules, upload, ""), assumed: events.NewCutter(rules, upload, "UTC"),
	}
}

const (
	maxUpload  = 200      // bytes of a key that an event carries along
	maxHead    = 64 << 10 // bytes in which the generation of metric names is looked for
	maxWorkers = 256      // headers that are remembered
)

// row parses a row and cuts events. Its error is of the whole row.
func (p *parser) row(d *decoded, r row) error {
	p.complete(&r)
	worker, err := p.worker(r.header)
	if err != nil {
		return err
	}
	p.parsed.Reset()
	worker.Parse(&rows.Row{Line: d.rows, Size: r.size, Cells: r.cells}, &p.parsed)
	for i := range p.parsed.Rejections {
		rejection := &p.parsed.Rejections[i]
		if rejection.Column == "" {
			d.fault(fmt.Sprintf("row %d: %s", d.rows, rejection.Reason))
			continue
		}
		d.fault(fmt.Sprintf("row %d, field %.64s, %q: %s", d.rows, rejection.Column, rejection.Text, rejection.Reason))
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

// complete leaves the time, host and GPU to the key where a row has a field for them and nothing in it, and adds the GPU
// that the key names to a row that names none.
func (p *parser) complete(r *row) {
	kept := 0
	for i, column := range r.header {
		blank := len(bytes.TrimSpace(r.cells[i])) == 0
		if blank && (says([][]byte{column}, dialect.Time, dialect.Host) || namesGPU([][]byte{column})) {
			continue
		}
		r.header[kept], r.cells[kept] = column, r.cells[i]
		kept++
	}
	r.header, r.cells = r.header[:kept], r.cells[:kept]
	if p.name.gpu == "" || namesGPU(r.header) || r.labelled() {
		return
	}
	column := "gpu_id"
	if strings.HasPrefix(p.name.gpu, "GPU-") || strings.HasPrefix(p.name.gpu, "MIG-") {
		column = "uuid"
	}
	r.header, r.cells = append(r.header, []byte(column)), append(r.cells, []byte(p.name.gpu))
}

// worker finds or makes the parser for rows of a header.
func (p *parser) worker(header [][]byte) (dialect.Worker, error) {
	var key []byte
	for _, name := range header {
		key = append(append(key, name...), 0)
	}
	if w := p.workers[string(key)]; w != nil {
		return w, nil
	}
	w, err := open(dialect.File{Header: header, Head: p.head}, p.opt)
	if err != nil {
		return nil, err
	}
	if len(p.workers) == maxWorkers {
		clear(p.workers)
	}
	p.workers[string(key)] = w
	return w, nil
}

// open takes a row for a long one when it names a metric and has a value, else for a wide one.
func open(f dialect.File, opt dialect.Options) (dialect.Worker, error) {
	if says(f.Header, dialect.Metric) && says(f.Header, dialect.Value) || dcgmlong.Match(f.Header) {
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
	return says(header, dialect.UUID, dialect.Index, dialect.PCI, dialect.Device)
}

// labelled tells whether the labels of a row name a GPU, or a part of the host beside its GPUs.
func (r *row) labelled() bool {
	for i, column := range r.header {
		if !says([][]byte{column}, dialect.LabelsRaw) {
			continue
		}
		labels, _ := dialect.ParseLabels(string(r.cells[i])) // what is wrong with them the dialect tells
		if slices.ContainsFunc(labels, func(l events.Label) bool {
			return namesGPU([][]byte{[]byte(l.Name)}) || slices.Contains([]string{"nvswitch", "cpu", "cpucore"}, l.Name)
		}) {
			return true
		}
	}
	return false
}

// says tells whether a header has a column about one of some fields.
func says(header [][]byte, fields ...dialect.Field) bool {
	return slices.ContainsFunc(header, func(name []byte) bool {
		f, _ := dialect.FieldOf(string(name))
		return slices.Contains(fields, f)
	})
}
