package projections

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

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
}

// key identifies a record: equal keys are one record.
func (r record) key() string {
	return fmt.Sprintf("%016x|%s|%s|%d|%v", r.identity.ID(), r.metric, r.source, r.at, r.value)
}

// event packs records as the log would return them.
func event(host events.HostID, records []record) *events.Event {
	ev := &events.Event{Host: host}
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
	for _, r := range records {
		if r.value.Absent == events.Implausible {
			continue
		}
		w := WindowOf(r.at)
		windows[w] = true
		if o.series[w] == nil {
			o.series[w] = make(map[string]bool)
		}
		o.series[w][r.key()] = true
		o.know(r)
		o.see(r)
	}
	for w := range windows {
		o.host.Identity.Windows = append(o.host.Identity.Windows, WindowRange{First: w, Last: w})
	}
	slices.SortFunc(o.host.Identity.Windows, func(a, b WindowRange) int { return cmp.Compare(a.First, b.First) })
	o.host.Identity.Windows = joinSpans(o.host.Identity.Windows)
	slices.SortFunc(o.host.Identity.Known, func(a, b Known) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(o.host.Live.Entities, func(a, b LiveEntity) int { return a.Entity.Compare(b.Entity) })
	for _, e := range o.host.Live.Entities {
		slices.SortFunc(e.Latest, func(a, b Latest) int { return strings.Compare(a.Metric, b.Metric) })
	}
	return o
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

func (o *oracle) know(r record) {
	id := &o.host.Identity
	i := slices.IndexFunc(id.Known, func(k Known) bool { return k.ID == r.identity.ID() })
	if i < 0 {
		i = len(id.Known)
		id.Known = append(id.Known, Known{ID: r.identity.ID(), Identity: *r.identity, FirstSeen: r.at})
	}
	id.Known[i].FirstSeen = min(id.Known[i].FirstSeen, r.at)
}

func (o *oracle) see(r record) {
	entity := r.identity.Entity(o.host.ID)
	i := slices.IndexFunc(o.host.Live.Entities, func(e LiveEntity) bool { return e.Entity == entity })
	if i < 0 {
		i = len(o.host.Live.Entities)
		o.host.Live.Entities = append(o.host.Live.Entities, LiveEntity{Entity: entity, SeenAt: r.at})
	}
	e := &o.host.Live.Entities[i]
	if cmp.Or(cmp.Compare(r.at, e.SeenAt), cmp.Compare(r.identity.ID(), e.Identity)) > 0 {
		e.SeenAt, e.Identity = r.at, r.identity.ID()
	}
	latest := Latest{Metric: r.metric, Source: r.source, At: r.at, Value: r.value}
	j := slices.IndexFunc(e.Latest, func(l Latest) bool { return l.Metric == r.metric })
	if j < 0 {
		e.Latest = append(e.Latest, latest)
		return
	}
	if cmp.Or(cmp.Compare(r.at, e.Latest[j].At), r.value.Compare(e.Latest[j].Value), strings.Compare(r.source, e.Latest[j].Source)) > 0 {
		e.Latest[j] = latest
	}
}

// keys lists a series' records by their keys; a record that is there twice is an error.
func keys(t *testing.T, s *HostWindow, known *Identity) map[string]bool {
	t.Helper()
	set := make(map[string]bool)
	for i := range s.Columns {
		c := &s.Columns[i]
		k, ok := known.Find(c.Identity)
		if !ok {
			t.Fatalf("identity %016x of a column is not known", c.Identity)
		}
		for at, v := range c.All() {
			key := record{identity: &k.Identity, metric: c.Metric, source: c.Source, at: at, value: v}.key()
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
		records[i] = record{identities[rng.IntN(len(identities))], metric, source, at, values[rng.IntN(len(values))]}
	}
	return records
}

// seriesOf returns an event's plausible records by window.
func seriesOf(ev *events.Event) map[Window]HostWindow {
	p := pieces{columns: len(ev.Columns)}
	for i := range ev.Columns {
		c := &ev.Columns[i]
		id := &ev.Identities[c.Identity]
		s := plausibleSamples(&c.Samples)
		column := Column{Entity: id.Entity(ev.Host), Metric: c.Metric, Source: c.Source, Identity: id.ID(), Samples: s}
		p.addRows(&column, 0, s.Len())
	}
	return p.canonicalSeries()
}
