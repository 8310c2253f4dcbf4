package rest

import (
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
)

// table writes comma-separated values as RFC 4180 has them.
type table struct {
	buf   []byte
	start bool // the next cell is the first of its row

	named map[string]string // names under which readings can be uploaded, by source

	// What rows of the entry before have in common, for the next entries are mostly of the same GPU.
	at            events.Timestamp
	moment        []byte
	host          events.HostID
	identity      *events.Identity
	origin, label []byte
}

// row writes a row.
func (t *table) row(cells ...string) {
	for _, cell := range cells {
		t.cell(cell)
	}
	t.end()
}

// cell writes the next cell of a row, in quotes where it needs them.
func (t *table) cell(text string) {
	t.next()
	if text == "" || !strings.ContainsAny(text, ",\"\r\n") && text[0] != ' ' && text[len(text)-1] != ' ' {
		t.buf = append(t.buf, text...)
		return
	}
	t.buf = append(t.buf, '"')
	for i := range len(text) {
		if text[i] == '"' {
			t.buf = append(t.buf, '"')
		}
		t.buf = append(t.buf, text[i])
	}
	t.buf = append(t.buf, '"')
}

// number writes a number as the next cell.
func (t *table) number(n events.Number) {
	t.next()
	t.buf = n.Append(t.buf)
}

// time writes an instant as the next cell.
func (t *table) time(at events.Timestamp) {
	t.next()
	if len(t.moment) == 0 || at != t.at {
		t.at, t.moment = at, at.Time().AppendFormat(t.moment[:0], time.RFC3339Nano)
	}
	t.buf = append(t.buf, t.moment...)
}

func (t *table) next() {
	if !t.start {
		t.buf = append(t.buf, ',')
	}
	t.start = false
}

func (t *table) end() {
	t.buf = append(t.buf, "\r\n"...)
	t.start = true
}

// readingsHeader are the columns of DCGM exports in the long form, which can be uploaded.
var readingsHeader = []string{ // never written
	"timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname", "container", "pod", "namespace", "value", "labels_raw",
}

// entry writes a row for every reading.
func (t *table) entry(e *projections.Entry) {
	t.remember(e)
	for i := range e.Readings {
		r := e.Readings[i]
		t.time(e.At)
		t.cell(t.name(r.Metric(), r.Source()))
		t.buf = append(t.buf, t.origin...)
		if v := r.Value(); v.Absent == events.Present {
			t.number(v.Number)
		} else {
			t.cell(v.Raw)
		}
		t.buf = append(t.buf, t.label...)
		t.end()
	}
}

// remember writes the cells that all rows of an entry have.
func (t *table) remember(e *projections.Entry) {
	if t.host == e.Host && t.identity == e.Identity {
		return
	}
	id := e.Identity
	var cells table
	for _, text := range []string{id.Index, id.Device, id.UUID, id.Model, string(e.Host), id.Container, id.Pod, id.Namespace} {
		cells.cell(text)
	}
	t.origin = cells.buf
	cells.buf = nil
	cells.cell(labelsRaw(id))
	t.host, t.identity, t.label = e.Host, e.Identity, cells.buf
}

// name gives the name under which a reading can be uploaded again: the source's, unless that stands for another
// unit than the stored number has.
func (t *table) name(canonical, source string) string {
	if source == canonical {
		return canonical
	}
	name, known := t.named[source]
	if !known {
		name = canonical
		if m, conversion, _ := metric.Lookup(source); m.Name == canonical && conversion.Exact() {
			name = source
		}
		if t.named == nil {
			t.named = make(map[string]string)
		}
		t.named[source] = name
	}
	return name
}

// labelsRaw writes what has no column of its own, in the syntax of Prometheus and the labels of dcgm-exporter.
func labelsRaw(id *events.Identity) string {
	all := slices.Clone(id.Labels)
	for _, l := range []events.Label{
		{Name: "DCGM_FI_DRIVER_VERSION", Value: id.Driver}, {Name: "GPU_I_ID", Value: id.MIG},
		{Name: "GPU_I_PROFILE", Value: id.MIGProfile}, {Name: "pci_bus_id", Value: id.PCI},
	} {
		if l.Value != "" {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b events.Label) int { return strings.Compare(a.Name, b.Name) })
	var out []byte
	for i, l := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendLabel(out, l)
	}
	return string(out)
}

// appendLabel writes name="value"; a name with other characters than letters, digits and '_' is in quotes too.
func appendLabel(out []byte, l events.Label) []byte {
	plain := l.Name != "" && !strings.ContainsFunc(l.Name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if plain && (l.Name[0] < '0' || l.Name[0] > '9') {
		out = append(out, l.Name...)
	} else {
		out = appendQuoted(out, l.Name)
	}
	return appendQuoted(append(out, '='), l.Value)
}

func appendQuoted(out []byte, text string) []byte {
	return append(append(append(out, '"'), quoter.Replace(text)...), '"')
}

// quoter escapes the value of a label.
var quoter = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// bucketsHeader gives the columns of buckets. Where none is asked for, there are those that Shown chooses from.
func bucketsHeader(q history.Query) (header []string, columns []history.Aggregate) {
	columns = q.Aggregates
	if len(columns) == 0 {
		columns = []history.Aggregate{history.Avg, history.Last}
	}
	header = []string{"timestamp", "host_id", "id", "part", "metric_name"}
	for _, a := range columns {
		header = append(header, string(a))
	}
	return header, columns
}

// bucket writes a row for every metric.
func (t *table) bucket(b *history.Bucket, columns []history.Aggregate, shown func(string) []history.Aggregate) {
	for i := range b.Metrics {
		m := &b.Metrics[i]
		t.time(b.At)
		for _, text := range []string{string(b.Host), string(b.Entity.GPU), b.Entity.Part, m.Metric} {
			t.cell(text)
		}
		for _, a := range columns {
			if n, ok := m.Number(a); ok && slices.Contains(shown(m.Metric), a) {
				t.number(n)
			} else {
				t.cell("")
			}
		}
		t.end()
	}
}
