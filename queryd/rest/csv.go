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

// csvTable writes comma-separated values by RFC 4180.
type csvTable struct {
	buf     []byte
	start   bool   // the next cell is the first of its row
	cluster string // the last cell of the next rows, unless it is empty

	named map[string]string // names under which readings can be uploaded, by source name

	// Cells that the rows of the last entry share: most entries follow one of the same GPU.
	at            events.Timestamp
	timeText      []byte
	host          events.HostID
	identity      *events.Identity
	origin, label []byte
}

// writeRow writes a row.
func (t *csvTable) writeRow(cells ...string) {
	for _, cell := range cells {
		t.writeCell(cell)
	}
	t.endRow()
}

// writeCell writes the next cell of a row, quoted if necessary.
func (t *csvTable) writeCell(text string) {
	t.writeComma()
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

// writeNumber writes a number as the next cell.
func (t *csvTable) writeNumber(n events.Number) {
	t.writeComma()
	t.buf = n.Append(t.buf)
}

// writeTime writes an instant as the next cell.
func (t *csvTable) writeTime(at events.Timestamp) {
	t.writeComma()
	if len(t.timeText) == 0 || at != t.at {
		t.at, t.timeText = at, at.Time().AppendFormat(t.timeText[:0], time.RFC3339Nano)
	}
	t.buf = append(t.buf, t.timeText...)
}

func (t *csvTable) writeComma() {
	if !t.start {
		t.buf = append(t.buf, ',')
	}
	t.start = false
}

func (t *csvTable) endRow() {
	if t.cluster != "" {
		t.writeCell(t.cluster)
	}
	t.buf = append(t.buf, "\r\n"...)
	t.start = true
}

// readingsHeader holds the columns of DCGM exports in the long form, which can be uploaded.
var readingsHeader = []string{ // never written
	"timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname", "container", "pod", "namespace", "value", "labels_raw",
}

// writeEntry writes a row for every reading.
func (t *csvTable) writeEntry(e *projections.Entry) {
	t.cacheIdentity(e)
	for i := range e.Readings {
		r := e.Readings[i]
		t.writeTime(e.At)
		t.writeCell(t.uploadName(r.Metric(), r.Source()))
		t.buf = append(t.buf, t.origin...)
		if v := r.Value(); v.Absent == events.Present {
			t.writeNumber(v.Number)
		} else {
			t.writeCell(v.Raw)
		}
		t.buf = append(t.buf, t.label...)
		t.endRow()
	}
}

// cacheIdentity keeps the cells that all rows of an entry share.
func (t *csvTable) cacheIdentity(e *projections.Entry) {
	if t.host == e.Host && t.identity == e.Identity {
		return
	}
	id := e.Identity
	var cells csvTable
	for _, text := range []string{id.Index, id.Device, id.UUID, id.Model, string(e.Host), id.Container, id.Pod, id.Namespace} {
		cells.writeCell(text)
	}
	t.origin = cells.buf
	cells.buf = nil
	cells.writeCell(labelsRaw(id))
	t.host, t.identity, t.label = e.Host, e.Identity, cells.buf
}

// uploadName returns the name under which a reading can be uploaded again: the source's name, unless it implies
// another unit than the unit of the stored number.
func (t *csvTable) uploadName(canonical, source string) string {
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

// labelsRaw returns the labels that have no column of their own, in the syntax of Prometheus and with the names of
// dcgm-exporter.
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

// appendLabel appends name="value"; a name with other characters than letters, digits and '_' is quoted too.
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

// bucketsHeader returns the columns of buckets. If no aggregate is requested, these are the ones from which Shown
// chooses.
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

// writeBucket writes a row for every metric.
func (t *csvTable) writeBucket(b *history.Bucket, columns []history.Aggregate, shown func(string) []history.Aggregate) {
	for i := range b.Metrics {
		m := &b.Metrics[i]
		t.writeTime(b.At)
		for _, text := range []string{string(b.Host), string(b.Entity.GPU), b.Entity.Part, m.Metric} {
			t.writeCell(text)
		}
		for _, a := range columns {
			if n, ok := m.Number(a); ok && slices.Contains(shown(m.Metric), a) {
				t.writeNumber(n)
			} else {
				t.writeCell("")
			}
		}
		t.endRow()
	}
}
