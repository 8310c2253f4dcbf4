package dialect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/rows"
)

// Origin is the source of a row's readings, as one worker knows it.
type Origin struct {
	Host      events.HostID
	Metric    string           // the metric's name by a label __name__; "" without one
	Fault     *rows.Rejection  // reason why a row of this origin cannot be used; its Line is 0
	Warnings  []rows.Rejection // to be repeated for each of its rows; their Line is 0
	BadLabels string           // reason why the cell of labels could not be read; "" if it could

	identity *events.Identity
	parts    *[partKinds]string // nil without any: parts that split its metrics: "mig:1", "nvlink:3"; by bit of metric.Parts
	splits   metric.Parts       // the bits that are present
	split    map[metric.Parts]*events.Identity
	table    *Identities
}

// partKinds is the number of bits in metric.Parts.
const partKinds = 7

// For returns the identity of a metric's readings: the GPU itself, or the part of it by which the metric is split.
func (o *Origin) For(p metric.Parts) *events.Identity {
	if p &= o.splits; p == 0 {
		return o.identity
	}
	id := o.split[p]
	if id == nil {
		part := *o.identity
		part.Part = o.partName(p)
		id = o.table.intern(&part)
		if o.split == nil {
			o.split = map[metric.Parts]*events.Identity{}
		}
		o.split[p] = id
	}
	return id
}

func (o *Origin) partName(p metric.Parts) string {
	var names []string
	if o.identity.Part != "" {
		names = append(names, o.identity.Part)
	}
	for bit, name := range o.parts { // there are some, since p is not 0
		if p&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// WithConflict returns the identity of For with one more label, for a value that contradicts another one of the row.
func (o *Origin) WithConflict(p metric.Parts, name, value string) *events.Identity {
	id := *o.For(p)
	id.Labels = withLabel(slices.Clone(id.Labels), name, value)
	return o.table.intern(&id)
}

// Source collects the names and labels of one row's origin. Columns come before labels; the zero Source is empty.
type Source struct {
	ofHost       bool
	observations []observation
	badLabels    string
	fault        *rows.Rejection
	warnings     []rows.Rejection
}

// observation is a name and its value in the row; label is true for a label, false for a column.
type observation struct {
	field       Field
	rank        Rank
	label       bool
	name, value string
}

// Reset empties s and keeps its memory.
func (s *Source) Reset() { *s = Source{observations: s.observations[:0]} }

// Column adds a cell. name is the column's name as the header spells it.
func (s *Source) Column(f Field, r Rank, name string, cell []byte) {
	value := strings.TrimSpace(string(cell))
	switch {
	case value == "":
	case !utf8.ValidString(value) && isDescription(f):
		s.refuseCell(Label, name, value, notText)
	case !utf8.ValidString(value):
		s.refuseCell(f, name, value, notText)
	default:
		s.addObservation(observation{field: f, rank: r, name: name, value: value})
	}
}

const notText = "the text is not valid UTF-8"

// isDescription reports whether a field describes a GPU or its workload without naming it.
func isDescription(f Field) bool { return f == Model || f == Driver || f == MIGProfile || f >= Pod }

// OfHost declares that a reading without a GPU is the host's own, and no fault.
func (s *Source) OfHost() { s.ofHost = true }

// Labels adds the labels of a cell in the syntax of Prometheus.
func (s *Source) Labels(cell []byte) {
	labels, err := ParseLabels(string(cell))
	if err != nil {
		s.badLabels = err.Error()
		return
	}
	for _, l := range labels {
		f, r := FieldOf(l.Name)
		if f < Host && (f != Metric || l.Name != "__name__") {
			f = Label
		}
		s.addObservation(observation{field: f, rank: r, label: true, name: l.Name, value: l.Value})
	}
}

func (s *Source) addObservation(v observation) {
	if v.field != Label {
		v.value = strings.TrimSpace(v.value)
		if isAbsentName(v.field, v.value) {
			return
		}
		if why := nameFault(v.value); why != "" {
			s.refuseCell(v.field, v.name, v.value, why)
			return
		}
	}
	s.observations = append(s.observations, v)
}

// refuseCell records a fault of the row, or only a warning if the cell is no more than a label.
func (s *Source) refuseCell(f Field, name, text, why string) {
	r := rows.Rejection{Column: name, Text: rows.Excerpt([]byte(text)), Reason: why}
	if f == Label {
		r.Reason += "; the label is left out"
		s.warnings = append(s.warnings, r)
	} else if s.fault == nil {
		s.fault = &r
	}
}

// isAbsentName reports whether a field's text is a word for a missing name.
func isAbsentName(f Field, text string) bool {
	switch f {
	case Host, Pod, Namespace, Container, Metric:
		return text == "" || strings.EqualFold(text, "N/A") || strings.EqualFold(text, "[N/A]")
	case UUID:
		return metric.Token([]byte(text)) != events.Present || !events.RealUUID(events.CanonicalUUID(text))
	}
	return metric.Token([]byte(text)) != events.Present
}

// maxName is the most bytes in the name of a host, a GPU or a workload.
const maxName = 253

func nameFault(text string) string {
	switch {
	case len(text) > maxName:
		return fmt.Sprintf("a name of %d bytes; the longest accepted has %d", len(text), maxName)
	case strings.ContainsFunc(text, isControl):
		return "a name with control characters; is the file damaged?"
	}
	return ""
}

// buildOrigin returns the origin that the observations describe.
func (s *Source) buildOrigin(opt Options, table *Identities) *Origin {
	o := &Origin{BadLabels: s.badLabels, table: table}
	s.resolveInstances()
	slices.SortStableFunc(s.observations, observation.compareTo)
	var id events.Identity
	exporter := s.preferNode()
	s.fillIdentity(&id)
	for _, v := range exporter {
		s.addConflict(&id, v, true)
	}
	o.Metric = s.firstValue(Metric)
	o.Host = s.resolveHost(opt)
	s.normalizeGPU(&id)
	if !namesGPU(&id) {
		id.Part = partWithoutGPU(id.Labels)
	}
	o.Fault, o.Warnings = s.fault, slices.Clone(s.warnings)
	if o.Fault == nil {
		o.Fault = s.missingFault(o.Host, &id)
	}
	o.setParts(&id)
	o.identity = table.intern(&id)
	return o
}

// compareTo orders by field, columns before labels, better spellings first.
func (v observation) compareTo(w observation) int {
	if v.field == w.field && v.label != w.label {
		if v.label {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(v.field, w.field), cmp.Compare(v.rank, w.rank))
}

// missingFault returns a rejection if the row names no host or no GPU.
func (s *Source) missingFault(host events.HostID, id *events.Identity) *rows.Rejection {
	switch {
	case host == "":
		return &rows.Rejection{Reason: "the row names no host (localhost is none: every host calls itself so); give one for the whole file with ?host="}
	case !s.ofHost && !namesGPU(id) && id.Part == "":
		return &rows.Rejection{Reason: "the row names no GPU: it has neither a UUID, nor an index, nor a PCI address"}
	}
	return nil
}

func namesGPU(id *events.Identity) bool { return id.UUID != "" || id.Index != "" || id.PCI != "" }

// partWithoutGPU returns the part of readings that belong to no GPU: a switch or a CPU, by the labels of
// dcgm-exporter.
func partWithoutGPU(labels []events.Label) string {
	var names []string
	for _, kind := range [...]string{"nvswitch", "cpu", "cpucore"} {
		if i, found := findLabel(labels, kind); found {
			names = append(names, kind+":"+strings.TrimPrefix(labels[i].Value, kind)) // nvswitch0 is 0
		}
	}
	return strings.Join(names, ",")
}

func (o *Origin) setParts(id *events.Identity) {
	if id.MIG != "" {
		o.setPart(metric.PerInstance, "mig:"+id.MIG)
	}
	for _, l := range id.Labels {
		switch l.Name {
		case "nvlink":
			o.setPart(metric.PerLink, "nvlink:"+l.Value)
		case "xid":
			o.setPart(metric.PerXID, "xid:"+l.Value)
		case "clock_event":
			o.setPart(metric.PerEvent, "clock_event:"+l.Value)
		case "peer_gpu":
			o.setPart(metric.PerPeer, "peer_gpu:"+l.Value)
		case "health_watch":
			o.setPart(metric.PerWatch, "health_watch:"+l.Value)
		case "pid":
			o.setPart(metric.PerProcess, "pid:"+l.Value)
		}
	}
}

func (o *Origin) setPart(p metric.Parts, text string) {
	o.splits |= p
	if o.parts == nil {
		o.parts = new([partKinds]string)
	}
	for bit := range o.parts {
		if p == 1<<bit {
			o.parts[bit] = text
		}
	}
}
