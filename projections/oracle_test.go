package projections

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// record is one reading as the oracle sees it: a line, not a column.
type record struct {
	identity *events.Identity
	metric   string
	source   string
	at       events.Timestamp
	value    events.Value
	appended events.Timestamp // of its event; 0 if that was not appended
}

// key identifies a record: equal keys are one record.
func (r record) key() string {
	return fmt.Sprintf("%016x|%s|%s|%d|%v", r.identity.ID(), r.metric, r.source, r.at, r.value)
}

// event packs records as the log would return them.
func event(host events.HostID, records []record) *events.Event {
	ev := &events.Event{Host: host}
	if len(records) > 0 {
		ev.AppendedAt = records[0].appended
	}
	for _, r := range records {
		if !slices.ContainsFunc(ev.Identities, func(id events.Identity) bool { return id.Compare(r.identity) == 0 }) {
			ev.Identities = append(ev.Identities, *r.identity)
		}
	}
	slices.SortFunc(ev.Identities, func(a, b events.Identity) int { return a.Compare(&b) })
	for _, r := range records {
		id := slices.IndexFunc(ev.Identities, func(id events.Identity) bool { return id.Compare(r.identity) == 0 })
		at := slices.IndexFunc(ev.Columns, func(c events.Column) bool {
			return c.Identity == id && c.Metric == r.metric && c.Source == r.source
		})
		if at < 0 {
			at = len(ev.Columns)
			ev.Columns = append(ev.Columns, events.Column{Identity: id, Metric: r.metric, Source: r.source})
		}
		ev.Columns[at].Add(r.at, r.value)
	}
	for i := range ev.Columns {
		ev.Columns[i].Canonical()
	}
	slices.SortFunc(ev.Columns, func(a, b events.Column) int {
		return cmp.Or(cmp.Compare(a.Identity, b.Identity), strings.Compare(a.Metric, b.Metric), strings.Compare(a.Source, b.Source))
	})
	return ev
}

// oracle is the models of a set of records, made the slow and obvious way.
type oracle struct {
	host   Host
	series map[Window]map[string]bool
}

func oracleOf(host events.HostID, records []record) oracle {
	o := oracle{host: Host{ID: host}, series: make(map[Window]map[string]bool)}
	windows := make(map[Window]bool)
	var plausible []record
	for _, r := range records {
		o.host.Live.Appended = max(o.host.Live.Appended, r.appended)
		if r.value.Absent == events.Implausible {
			continue
		}
		plausible = append(plausible, r)
		w := WindowOf(r.at)
		windows[w] = true
		if o.series[w] == nil {
			o.series[w] = make(map[string]bool)
		}
		o.series[w][r.key()] = true
	}
	o.host.Identity.Windows = rangesOf(windows)
	o.knowGPUs(plausible)
	o.seeEntities(plausible)
	slices.SortFunc(o.host.Identity.GPUs, func(a, b KnownGPU) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.host.Live.Entities, func(a, b LiveEntity) int { return a.Entity.Compare(b.Entity) })
	return o
}

func rangesOf(windows map[Window]bool) []WindowRange {
	var ranges []WindowRange
	for _, w := range slices.Sorted(maps.Keys(windows)) {
		ranges = append(ranges, WindowRange{First: w, Last: w})
	}
	return joinSpans(ranges)
}

func joinSpans(spans []WindowRange) (joined []WindowRange) {
	for _, s := range spans {
		if n := len(joined); n > 0 && joined[n-1].Last+1 == s.First {
			joined[n-1].Last = s.Last
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// knowGPUs makes the identity model, one name at a time.
func (o *oracle) knowGPUs(records []record) {
	byName := make(map[events.GPUID][]record)
	for _, r := range records {
		name := r.identity.Entity(o.host.ID).GPU
		byName[name] = append(byName[name], r)
	}
	for name, some := range byName {
		k := KnownGPU{Name: name, FirstSeen: maxTime}
		windows, listed, stated, parts := make(map[Window]bool), make(map[Window]bool), make(map[Window]bool), make(map[string]events.Timestamp)
		firsts := make(map[Run]map[Window]events.Timestamp)
		for _, r := range some {
			k.FirstSeen = min(k.FirstSeen, r.at)
			windows[WindowOf(r.at)] = true
			process := strings.HasPrefix(r.identity.Part, "pid:")
			if process {
				listed[WindowOf(r.at)] = true
			}
			if id := r.identity; id.Pod+id.Namespace+id.Container != "" || len(id.Labels) > 0 {
				stated[WindowOf(r.at)] = true
			}
			if at, ok := parts[r.identity.Part]; !process && (!ok || r.at < at) {
				parts[r.identity.Part] = r.at
			}
			for f, text := range naiveFields(r.identity) {
				run := Run{Field: f, Value: text}
				if firsts[run] == nil {
					firsts[run] = make(map[Window]events.Timestamp)
				}
				if at, ok := firsts[run][WindowOf(r.at)]; !ok || r.at < at {
					firsts[run][WindowOf(r.at)] = r.at
				}
			}
		}
		k.Windows, k.Listed, k.Stated = rangesOf(windows), rangesOf(listed), rangesOf(stated)
		for run, first := range firsts {
			seen := make(map[Window]bool)
			for w := range first {
				seen[w] = true
			}
			for _, span := range rangesOf(seen) {
				k.Runs = append(k.Runs, Run{Field: run.Field, Value: run.Value, First: first[span.First], Last: span.Last})
			}
		}
		slices.SortFunc(k.Runs, func(a, b Run) int {
			return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Value, b.Value), cmp.Compare(a.First, b.First))
		})
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			k.Parts = append(k.Parts, KnownPart{Name: part, FirstSeen: parts[part]})
		}
		o.host.Identity.GPUs = append(o.host.Identity.GPUs, k)
	}
}

// naiveFields returns the fields that count for a GPU.
func naiveFields(id *events.Identity) map[Field]string {
	all := map[Field]string{
		FieldUUID: id.UUID, FieldIndex: id.Index, FieldPCI: id.PCI, FieldDevice: id.Device, FieldModel: id.Model, FieldDriver: id.Driver,
	}
	if id.Part == "" {
		all[FieldMIG], all[FieldMIGProfile] = id.MIG, id.MIGProfile
	}
	maps.DeleteFunc(all, func(_ Field, text string) bool { return text == "" })
	return all
}

// seeEntities makes the live model, one entity at a time.
func (o *oracle) seeEntities(records []record) {
	byEntity := make(map[events.Entity][]record)
	newestList := minTime
	for _, r := range records {
		e := r.identity.Entity(o.host.ID)
		byEntity[e] = append(byEntity[e], r)
		if strings.HasPrefix(e.Part, "pid:") && isDue(r) {
			newestList = max(newestList, r.at)
		}
	}
	second := events.Timestamp(1_000_000_000)
	for entity, some := range byEntity {
		e := LiveEntity{Entity: entity}
		due := slices.DeleteFunc(slices.Clone(some), func(r record) bool { return !isDue(r) })
		for _, r := range due {
			if e.SeenAt == 0 && len(e.Latest) == 0 || r.at > e.SeenAt {
				e.SeenAt = r.at
			}
			e.Latest = []Latest{{}} // there is one
		}
		e.Latest = nil
		process := strings.HasPrefix(entity.Part, "pid:")
		if process && len(due) > 0 && e.SeenAt <= newestList-second && !slices.ContainsFunc(some, func(r record) bool { return !isDue(r) }) {
			continue
		}
		e.Appended = maxTime
		for _, r := range due {
			if r.at == e.SeenAt {
				e.Appended = min(e.Appended, r.appended)
			}
			if process && r.at <= e.SeenAt-second {
				continue
			}
			e.see(r)
			e.say(r)
		}
		if len(due) == 0 {
			e.Appended = 0
		}
		for _, r := range some {
			if !isDue(r) {
				e.foresee(r)
			}
		}
		slices.SortFunc(e.Latest, func(a, b Latest) int { return strings.Compare(a.Metric, b.Metric) })
		slices.SortFunc(e.Ahead, func(a, b Latest) int { return cmp.Or(strings.Compare(a.Metric, b.Metric), cmp.Compare(a.At, b.At)) })
		slices.SortFunc(e.Said, func(a, b Said) int { return cmp.Compare(a.Field, b.Field) })
		o.host.Live.Entities = append(o.host.Live.Entities, e)
	}
}

// isDue reports whether a record is not ahead of its event's append.
func isDue(r record) bool {
	return r.appended == 0 || r.at <= r.appended+events.Timestamp(5*time.Minute)
}

func (e *LiveEntity) see(r record) {
	latest := Latest{Metric: r.metric, Source: r.source, At: r.at, Value: r.value}
	j := slices.IndexFunc(e.Latest, func(l Latest) bool { return l.Metric == r.metric })
	switch {
	case j < 0:
		e.Latest = append(e.Latest, latest)
	case cmp.Or(cmp.Compare(r.at, e.Latest[j].At), r.value.Compare(e.Latest[j].Value), strings.Compare(r.source, e.Latest[j].Source)) > 0:
		e.Latest[j] = latest
	}
}

// foresee keeps the newest reading of each window that is newer than the latest.
func (e *LiveEntity) foresee(r record) {
	if slices.ContainsFunc(e.Latest, func(l Latest) bool { return l.Metric == r.metric && l.At >= r.at }) {
		return
	}
	ahead := Latest{Metric: r.metric, Source: r.source, At: r.at, Value: r.value}
	j := slices.IndexFunc(e.Ahead, func(l Latest) bool { return l.Metric == r.metric && WindowOf(l.At) == WindowOf(r.at) })
	switch {
	case j < 0:
		e.Ahead = append(e.Ahead, ahead)
	case cmp.Or(cmp.Compare(r.at, e.Ahead[j].At), r.value.Compare(e.Ahead[j].Value), strings.Compare(r.source, e.Ahead[j].Source)) > 0:
		e.Ahead[j] = ahead
	}
}

func (e *LiveEntity) say(r record) {
	id := r.identity
	for f, text := range map[Field]string{
		FieldUUID: id.UUID, FieldIndex: id.Index, FieldPCI: id.PCI, FieldDevice: id.Device, FieldModel: id.Model, FieldDriver: id.Driver,
		FieldMIG: id.MIG, FieldMIGProfile: id.MIGProfile,
	} {
		j := slices.IndexFunc(e.Said, func(s Said) bool { return s.Field == f })
		switch {
		case text == "":
		case j < 0:
			e.Said = append(e.Said, Said{Field: f, Value: text, At: r.at})
		case cmp.Or(cmp.Compare(r.at, e.Said[j].At), strings.Compare(text, e.Said[j].Value)) > 0:
			e.Said[j] = Said{Field: f, Value: text, At: r.at}
		}
	}
	w := e.Workload
	if w == nil {
		w = new(Workload)
	}
	switch {
	case id.Pod+id.Namespace+id.Container == "" && len(id.Labels) == 0:
	case w.Metric == "" || r.at > w.At:
		*w = Workload{At: r.at, Metric: r.metric, Source: r.source, Pod: id.Pod, Namespace: id.Namespace, Container: id.Container, Labels: id.Labels}
	case r.at == w.At:
		if cmp.Or(strings.Compare(r.metric, w.Metric), strings.Compare(r.source, w.Source)) < 0 {
			w.Metric, w.Source = r.metric, r.source
		}
		w.Pod, w.Namespace, w.Container = max(w.Pod, id.Pod), max(w.Namespace, id.Namespace), max(w.Container, id.Container)
		labels := make(map[string]string)
		for _, l := range slices.Concat(w.Labels, id.Labels) {
			labels[l.Name] = max(labels[l.Name], l.Value)
		}
		w.Labels = nil
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			w.Labels = append(w.Labels, events.Label{Name: name, Value: labels[name]})
		}
	}
	if w.Metric != "" {
		e.Workload = w
	}
}

// keys lists a series' records by their keys; a record that is there twice is an error.
func keys(t *testing.T, s *HostWindow) map[string]bool {
	t.Helper()
	set := make(map[string]bool)
	for i := range s.Columns {
		c := &s.Columns[i]
		id := s.Find(c.Identity)
		if id == nil {
			t.Fatalf("identity %016x of a column is not there", c.Identity)
		}
		for at, v := range c.All() {
			key := record{identity: id, metric: c.Metric, source: c.Source, at: at, value: v}.key()
			if set[key] {
				t.Errorf("record %s is there twice", key)
			}
			set[key] = true
		}
	}
	return set
}

// wantModels compares a host with the oracle's, as values and as bytes.
func wantModels(t *testing.T, got, want *Host) {
	t.Helper()
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("models differ (-want +got):\n%s", diff)
	}
	if g, w := AppendLive(nil, &got.Live), AppendLive(nil, &want.Live); !bytes.Equal(g, w) {
		t.Errorf("live bytes: got %x, want %x", g, w)
	}
	if g, w := AppendIdentity(nil, &got.Identity), AppendIdentity(nil, &want.Identity); !bytes.Equal(g, w) {
		t.Errorf("identity bytes: got %x, want %x", g, w)
	}
}

// randomRecords makes records that collide in every way that matters: few times (also on both sides of a
// window's border and before 1970), few values of different exponents, absences, implausible readings,
// several identities of one entity.
func randomRecords(rng *rand.Rand, n int) []record {
	identities := []*events.Identity{
		{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0", Model: "H100"},
		{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "1", Model: "H100", Labels: []events.Label{{Name: "job", Value: "x"}}},
		{Index: "7"},
		{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0", Part: "mig:1", MIG: "1"},
		{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"},
		{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Pod: "p1", Namespace: "ml", Labels: []events.Label{{Name: "job", Value: "y"}, {Name: "zone", Value: "a"}}},
		{UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Part: "pid:7", Labels: []events.Label{{Name: "pid", Value: "7"}}},
		{Index: "0", Part: "pid:8", Model: "A10"},
	}
	metrics := []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_XID_ERRORS"}
	values := []events.Value{
		{}, {Number: events.Int(5)}, {Number: events.Int(100)}, {Number: events.Number{Mantissa: 66781, Exponent: -3}},
		{Number: events.Number{Mantissa: 25, Exponent: -1}}, {Number: events.Int(9223372036854775807)},
		{Number: events.Number{Mantissa: 1, Exponent: -9}}, {Number: events.Int(-40)},
		{Absent: events.NotSupported, Raw: "[N/A]"}, {Absent: events.Blank}, {Absent: events.Implausible, Raw: "4294967295"},
	}
	const second = events.Timestamp(1_000_000_000)
	border := Window(rng.IntN(5) - 2).Start()
	records := make([]record, n)
	for i := range records {
		metric := metrics[rng.IntN(len(metrics))]
		source := metric
		if rng.IntN(3) == 0 {
			source = "another_name"
		}
		at := border + events.Timestamp(rng.IntN(12)-6)*second
		if rng.IntN(4) == 0 {
			at += events.Timestamp(rng.IntN(5)-2) * 3600 * second
		}
		if rng.IntN(16) == 0 {
			at += events.Timestamp(rng.IntN(1000))
		}
		records[i] = record{identities[rng.IntN(len(identities))], metric, source, at, values[rng.IntN(len(values))], 0}
	}
	return records
}

// seriesOf returns an event's plausible records by window.
func seriesOf(ev *events.Event) map[Window]HostWindow {
	p := pieces{columns: len(ev.Columns), contents: make(identitySet)}
	for i := range ev.Columns {
		c := &ev.Columns[i]
		id := &ev.Identities[c.Identity]
		s := plausibleSamples(&c.Samples)
		p.contents[id.ID()] = id
		column := Column{Entity: id.Entity(ev.Host), Metric: c.Metric, Source: c.Source, Identity: id.ID(), Samples: s}
		p.addRows(&column, 0, s.Len())
	}
	return p.canonicalSeries()
}
