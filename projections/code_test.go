package projections

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"weak"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// TestModelsRoundTrip stores and loads the models of random events: the loaded ones are equal, field by field.
func TestModelsRoundTrip(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 4))
		ev := event("node-1", randomRecords(rng, rng.IntN(120)))
		var h Host
		h.Apply(ev)
		if got := reload(t, &h); !gocmp.Equal(got, h) {
			t.Errorf("seed %d: models differ (-want +got):\n%s", seed, gocmp.Diff(h, got))
		}
		for w, s := range seriesOf(ev) {
			got, err := ParseHostWindow(AppendHostWindow(nil, &s))
			if err != nil {
				t.Fatal(err)
			}
			if !gocmp.Equal(got, s) {
				t.Errorf("seed %d, window %d: series differ (-want +got):\n%s", seed, w, gocmp.Diff(s, got))
			}
		}
	}
}

// An Encoder that wrote other models before writes the same bytes as a fresh one, and keeps no large table.
func TestEncoderWritesTheSameAgain(t *testing.T) {
	var enc Encoder
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 90))
		ev := event("node-1", randomRecords(rng, 1+rng.IntN(120)))
		h := Host{ID: "node-1"}
		h.Apply(ev)
		if got, want := enc.AppendLive(nil, &h.Live), AppendLive(nil, &h.Live); !bytes.Equal(got, want) {
			t.Errorf("seed %d: live: got %x, want %x", seed, got, want)
		}
		if got, want := enc.AppendIdentity(nil, &h.Identity), AppendIdentity(nil, &h.Identity); !bytes.Equal(got, want) {
			t.Errorf("seed %d: identity: got %x, want %x", seed, got, want)
		}
		for w, s := range seriesOf(ev) {
			if got, want := enc.AppendHostWindow(nil, &s), AppendHostWindow(nil, &s); !bytes.Equal(got, want) {
				t.Errorf("seed %d: window %d: got %x, want %x", seed, w, got, want)
			}
		}
	}
	var large Identity
	for i := range 2 * maxKeptNames {
		large.GPUs = append(large.GPUs, KnownGPU{Name: events.GPUID(fmt.Sprintf("node-1:%05d", i))})
	}
	if enc.AppendIdentity(nil, &large); len(enc.table.place) > maxKeptNames {
		t.Errorf("a table of %d names is kept, want at most %d", len(enc.table.place), maxKeptNames)
	}
}

// Who keeps the readings of one entity does not hold the other ones of its host.
func TestParsedReadingsAreHeldByThemselves(t *testing.T) {
	h := Host{}
	h.Apply(event(fleetHost(1, 0, 1)))
	live, err := ParseLive(AppendLive(nil, &h.Live))
	if err != nil {
		t.Fatal(err)
	}
	kept, other := live.Entities[0].Latest, weak.Make(&live.Entities[1].Latest[0])
	live = Live{}
	runtime.GC()
	if other.Value() != nil {
		t.Error("the readings of another entity are held")
	}
	runtime.KeepAlive(kept)
}

func TestEmptyModelsRoundTrip(t *testing.T) {
	if l, err := ParseLive(AppendLive(nil, &Live{})); err != nil || len(l.Entities) != 0 {
		t.Errorf("live: got %v, %v", l, err)
	}
	if id, err := ParseIdentity(AppendIdentity(nil, &Identity{})); err != nil || len(id.GPUs)+len(id.Windows) != 0 {
		t.Errorf("identity: got %v, %v", id, err)
	}
	if s, err := ParseHostWindow(AppendHostWindow(nil, &HostWindow{})); err != nil || len(s.Columns) != 0 {
		t.Errorf("series: got %v, %v", s, err)
	}
}

// TestSharedPartsRoundTrip has entities of many shapes, in turn, whose labels are equal to the ones before, or are not.
func TestSharedPartsRoundTrip(t *testing.T) {
	var live Live
	for i := range 40 {
		e := LiveEntity{Entity: events.Entity{GPU: events.GPUID(fmt.Sprintf("GPU-%02d", i))}, SeenAt: 5}
		for m := range 1 + i%(firstShapes+3) {
			e.Latest = append(e.Latest, Latest{Metric: fmt.Sprint("m", m), Source: fmt.Sprint("s", i%3), At: 5, Value: events.Value{Number: events.Int(int64(i * m))}})
		}
		e.Workload = &Workload{At: 5, Metric: "m0", Source: "s"}
		for l := range i / 2 % 3 {
			e.Workload.Labels = append(e.Workload.Labels, events.Label{Name: fmt.Sprint("l", l), Value: fmt.Sprint(i / 4)})
		}
		live.Entities = append(live.Entities, e)
	}
	got, err := ParseLive(AppendLive(nil, &live))
	if diff := gocmp.Diff(live, got); err != nil || diff != "" {
		t.Errorf("%v, differs (-want +got):\n%s", err, diff)
	}
}

// TestExtremesRoundTrip uses the ends of every range.
func TestExtremesRoundTrip(t *testing.T) {
	number := func(m int64, e int16) events.Value {
		return events.Value{Number: events.Number{Mantissa: m, Exponent: e}}
	}
	latest := []Latest{
		{Metric: "", Source: "x", At: minTime, Value: number(math.MinInt64, -32768)},
		{Metric: "a", Source: "a", At: maxTime, Value: number(math.MaxInt64, 32767)},
		{Metric: "b", Source: "", At: 0, Value: events.Value{Absent: 255, Raw: strings.Repeat("raw", 100)}},
		{Metric: "c", Source: "c", At: -1},
	}
	other := []Latest{
		{Metric: "", Source: "x", At: maxTime, Value: number(math.MaxInt64, 0)},
		{Metric: "a", Source: "a", At: minTime, Value: number(-1, -32768)},
		{Metric: "b", Source: "", At: 1, Value: number(7, -7)},
		{Metric: "c", Source: "c", At: 2},
	}
	long := strings.Repeat("label", 50)
	live := Live{Appended: minTime, Entities: []LiveEntity{
		{Entity: events.Entity{GPU: ""}, SeenAt: minTime, Appended: maxTime, Latest: nil},
		{
			Entity: events.Entity{GPU: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"}, SeenAt: maxTime, Latest: latest,
			Said:  []Said{{"", maxTime, FieldUUID}, {long, minTime, FieldMIGProfile}},
			Ahead: []Latest{{Metric: "z", Source: "y", At: maxTime, Value: number(1, 1)}, {Metric: "z", Source: "z", At: minTime}},
		},
		{
			Entity: events.Entity{GPU: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Part: "nvlink:3"}, SeenAt: maxTime, Latest: other,
			Workload: &Workload{At: minTime, Metric: "m", Labels: []events.Label{{Name: "", Value: long}}},
		},
		{
			Entity: events.Entity{GPU: "MIG-5fd4f087-86f3-7a43-b711-4771313afc5F"}, SeenAt: 5, Latest: latest,
			Workload: &Workload{At: 5, Metric: "m", Source: "m", Pod: "p", Namespace: "n", Container: "c"},
		},
	}}
	got, err := ParseLive(AppendLive(nil, &live))
	if diff := gocmp.Diff(live, got); err != nil || diff != "" {
		t.Errorf("live: %v, differs (-want +got):\n%s", err, diff)
	}
	ends := []WindowRange{{WindowOf(minTime), WindowOf(minTime)}, {-1, 5}, {7, WindowOf(maxTime)}}
	id := Identity{
		GPUs: []KnownGPU{
			{Name: "", FirstSeen: maxTime},
			{
				Name: "MIG-5fd4f087-86f3-7a43-b711-4771313afc50", FirstSeen: minTime, Windows: ends, Listed: ends[:1],
				Runs:  []Run{{Field: FieldUUID, First: minTime, Last: WindowOf(maxTime)}, {Field: FieldMIGProfile, Value: long, First: maxTime, Last: WindowOf(maxTime)}},
				Parts: []KnownPart{{Name: "mig:3", FirstSeen: maxTime}, {Name: "nvlink:0", FirstSeen: minTime}},
			},
		},
		Windows: ends,
	}
	gotID, err := ParseIdentity(AppendIdentity(nil, &id))
	if diff := gocmp.Diff(id, gotID); err != nil || diff != "" {
		t.Errorf("identity: %v, differs (-want +got):\n%s", err, diff)
	}
	var c Column
	for _, l := range append(latest, other...) {
		c.Add(l.At, l.Value)
	}
	c.Canonical()
	whole := &events.Identity{UUID: long, Part: "p", Labels: []events.Label{{Name: "pod", Value: ""}, {Name: "pod", Value: "x"}}}
	c.Identity = whole.ID()
	s := NewHostWindow([]Column{c}, map[events.IdentityID]*events.Identity{c.Identity: whole})
	gotSeries, err := ParseHostWindow(AppendHostWindow(nil, &s))
	if diff := gocmp.Diff(s, gotSeries); err != nil || diff != "" {
		t.Errorf("series: %v, differs (-want +got):\n%s", err, diff)
	}
}

// TestTruncatedModels cuts stored models at every byte: each cut is an error, none a panic.
func TestTruncatedModels(t *testing.T) {
	ev := event("node-1", randomRecords(rand.New(rand.NewPCG(1, 6)), 60))
	var h Host
	h.Apply(ev)
	for name, model := range storedModels(&h, ev) {
		for n := range model.bytes {
			if err := model.parse(model.bytes[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes parsed without an error", name, n, len(model.bytes))
			}
		}
		if err := model.parse(append(bytes.Clone(model.bytes), 0)); err == nil {
			t.Errorf("%s: a byte behind the end was not noticed", name)
		}
		if err := model.parse(append([]byte{99}, model.bytes[1:]...)); err == nil || !strings.Contains(err.Error(), "unknown form 99") {
			t.Errorf("%s: unknown form: got %v", name, err)
		}
	}
}

type storedModel struct {
	bytes []byte
	parse func([]byte) error
}

func storedModels(h *Host, ev *events.Event) map[string]storedModel {
	models := map[string]storedModel{
		"live":     {AppendLive(nil, &h.Live), func(b []byte) error { _, err := ParseLive(b); return err }},
		"identity": {AppendIdentity(nil, &h.Identity), func(b []byte) error { _, err := ParseIdentity(b); return err }},
	}
	for w, s := range seriesOf(ev) {
		models[fmt.Sprint("series of ", w)] = storedModel{AppendHostWindow(nil, &s), func(b []byte) error { _, err := ParseHostWindow(b); return err }}
	}
	return models
}

func FuzzParseLive(f *testing.F) {
	seedModels(f, func(h *Host, _ *events.Event) []byte { return AppendLive(nil, &h.Live) })
	f.Fuzz(func(t *testing.T, src []byte) {
		l, err := ParseLive(src)
		if err != nil {
			return
		}
		stored := AppendLive(nil, &l)
		again, err := ParseLive(stored)
		if err != nil || !bytes.Equal(AppendLive(nil, &again), stored) {
			t.Errorf("%v: second round trip differs (-first +second):\n%s", err, gocmp.Diff(l, again))
		}
	})
}

func FuzzParseIdentity(f *testing.F) {
	seedModels(f, func(h *Host, _ *events.Event) []byte { return AppendIdentity(nil, &h.Identity) })
	f.Fuzz(func(t *testing.T, src []byte) {
		id, err := ParseIdentity(src)
		if err != nil {
			return
		}
		again, err := ParseIdentity(AppendIdentity(nil, &id))
		if err != nil || !gocmp.Equal(id, again) {
			t.Errorf("%v: second round trip differs (-first +second):\n%s", err, gocmp.Diff(id, again))
		}
	})
}

func FuzzParseHostWindow(f *testing.F) {
	seedModels(f, func(_ *Host, ev *events.Event) []byte {
		for _, s := range seriesOf(ev) {
			return AppendHostWindow(nil, &s)
		}
		return nil
	})
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := ParseHostWindow(src)
		none, errNone := ParseHostWindowOf(src, func(events.Entity, string) bool { return false })
		if err != nil {
			return
		}
		if errNone != nil || len(none.Columns) != 0 {
			t.Errorf("passing over what can be read: %v", errNone)
		}
		if n := s.Records(); n > len(src) {
			t.Errorf("%d bytes gave %d readings", len(src), n)
		}
		again, err := ParseHostWindow(AppendHostWindow(nil, &s))
		if err != nil || !gocmp.Equal(s, again) {
			t.Errorf("%v: second round trip differs (-first +second):\n%s", err, gocmp.Diff(s, again))
		}
		Merge(s, again, HostWindow{})
		Entries("node-1", &s, EntryFilter{Limit: 10})
	})
}

func seedModels(f *testing.F, store func(*Host, *events.Event) []byte) {
	for seed := range uint64(6) {
		ev := event("node-1", randomRecords(rand.New(rand.NewPCG(seed, 8)), int(seed)*9))
		var h Host
		h.Apply(ev)
		f.Add(store(&h, ev))
	}
}

// TestParsersAreModest lets parsers read bytes that claim much, and bounds their allocations.
func TestParsersAreModest(t *testing.T) {
	const size = 4096
	const most = 200 // bytes of memory for each byte of source
	rng := rand.New(rand.NewPCG(2, 9))
	for range 300 {
		src := make([]byte, size)
		for i := range src {
			switch rng.IntN(4) {
			case 0:
				src[i] = byte(rng.IntN(256))
			case 1:
				src[i] = byte(rng.IntN(8))
			case 2:
				src[i] = 1
			}
		}
		src[0], src[1] = 2, byte(rng.IntN(3))
		for name, parse := range map[string]func(){
			"live":     func() { _, _ = ParseLive(src) },
			"identity": func() { _, _ = ParseIdentity(src) },
			"series":   func() { _, _ = ParseHostWindow(src) },
		} {
			if got := allocated(parse); got > most*size {
				t.Fatalf("%s: %d bytes allocated for %d", name, got, size)
			}
		}
	}
}

func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestSkipIsReading passes over varints of all lengths, and compares with reading them.
func TestSkipIsReading(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	var src []byte
	for range 400 {
		src = binary.AppendUvarint(src, rng.Uint64()>>rng.IntN(64))
	}
	for n := range 410 {
		skipped, read := reader{src: src}, reader{src: src}
		skipped.skipVarints(n)
		for range n {
			read.readUvarint()
		}
		if len(skipped.src) != len(read.src) || (skipped.err == nil) != (read.err == nil) {
			t.Fatalf("%d varints: skipping left %d bytes (%v), reading %d (%v)", n, len(skipped.src), skipped.err, len(read.src), read.err)
		}
	}
}
