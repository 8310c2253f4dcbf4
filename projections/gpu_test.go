package projections

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

const gpuA = events.GPUID("GPU-5fd4f087-86f3-7a43-b711-4771313afc50")

func fragmentsOf(id events.GPUID, hosts ...*Host) (fragments []Fragment) {
	for _, h := range hosts {
		for gpu, f := range h.Fragments(h.Identity.Names(h.ID)) {
			if gpu == id {
				fragments = append(fragments, f)
			}
		}
	}
	return fragments
}

// TestMergeGPUIgnoresOrder merges random hosts in two orders and compares; the arguments stay as they were.
func TestMergeGPUIgnoresOrder(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 40))
		var hosts []*Host
		for _, name := range []events.HostID{"node-1", "node-2", "node-3"} {
			h := &Host{}
			h.Apply(event(name, randomRecords(rng, 30)))
			hosts = append(hosts, h)
		}
		stored := AppendLive(nil, &hosts[0].Live)
		a := MergeGPU(gpuA, fragmentsOf(gpuA, hosts[0], hosts[1], hosts[2]))
		b := MergeGPU(gpuA, fragmentsOf(gpuA, hosts[2], hosts[0], hosts[1]))
		if diff := gocmp.Diff(a, b); diff != "" {
			t.Errorf("seed %d: order of fragments matters:\n%s", seed, diff)
		}
		if string(AppendLive(nil, &hosts[0].Live)) != string(stored) {
			t.Errorf("seed %d: merging changed a host", seed)
		}
		wantMerged(t, a, hosts)
	}
}

// wantMerged checks merged GPUs against every host's fragments.
// The GPU of one host shares the host's readings, its own and its parts'; a GPU of several hosts has its own.
func TestAGPUOfOneHostSharesItsReadings(t *testing.T) {
	one, other := Host{ID: "node-1"}, Host{ID: "node-2"}
	for _, h := range []*Host{&one, &other} {
		var records []record
		for _, part := range []string{"", "mig-1"} {
			records = append(records, record{&events.Identity{UUID: string(gpuA), Part: part}, "m", "m", 1, events.Value{}, 0})
		}
		h.Apply(event(h.ID, records))
	}
	shared := func(g *GPU, h *Host) (n int) {
		for i, latest := range [][]Latest{g.Latest, g.Parts[0].Latest} {
			if &latest[0] == &h.Live.Entities[i].Latest[0] {
				n++
			}
		}
		return n
	}
	if g := MergeGPU(gpuA, fragmentsOf(gpuA, &one))[0]; shared(g, &one) != 2 {
		t.Error("the readings of a GPU of one host were copied")
	}
	for _, g := range MergeGPU(gpuA, fragmentsOf(gpuA, &one, &other)) {
		if len(g.Hosts) > 1 && shared(g, &one)+shared(g, &other) > 0 {
			t.Error("a GPU of several hosts shares readings with one of them")
		}
	}
}

func wantMerged(t *testing.T, all []*GPU, hosts []*Host) {
	t.Helper()
	for i, g := range all {
		if got := ConflictID(g.Host, gpuA); i == 0 && g.ID != gpuA || i > 0 && g.ID != got {
			t.Errorf("GPU %d of %d on %s is called %s", i, len(all), g.Host, g.ID)
		}
		if len(g.Conflict) != len(all)-1 {
			t.Errorf("GPU %s is in conflict with %v, there are %d GPUs", g.ID, g.Conflict, len(all))
		}
		for _, f := range fragmentsOf(gpuA, hosts...) {
			if !slices.Contains(g.Hosts, f.Host.ID) {
				continue
			}
			for _, e := range f.Entities {
				wantMergedEntity(t, g, f.Host.ID, e)
			}
		}
	}
}

func wantMergedEntity(t *testing.T, g *GPU, host events.HostID, e *LiveEntity) {
	t.Helper()
	if e.SeenAt > g.LastSeen || e.SeenAt < g.FirstSeen {
		t.Errorf("seen from %v to %v, but %s saw it at %v", g.FirstSeen, g.LastSeen, host, e.SeenAt)
	}
	latest := g.Latest
	for _, p := range g.Parts {
		if p.Name == e.Entity.Part {
			latest = p.Latest
		}
	}
	for _, l := range e.Latest {
		if merged, ok := Find(latest, l.Metric); (e.Entity.Part == "" || len(g.Parts) > 0) && (!ok || merged.At < l.At) {
			t.Errorf("%v %s: got %v of %v, but %s has %v", e.Entity, l.Metric, ok, merged.At, host, l.At)
		}
	}
}

func TestAGPUOnTwoHostsAtOnceIsKeptByBoth(t *testing.T) {
	one := func(name events.HostID, index string, v int64) *Host {
		h := &Host{}
		id := &events.Identity{UUID: string(gpuA), Index: index}
		h.Apply(event(name, []record{{id, "m", "m", 5, events.Value{Number: events.Int(v)}, 0}}))
		return h
	}
	latest := func(v int64) []Latest {
		return []Latest{{Metric: "m", Source: "m", At: 5, Value: events.Value{Number: events.Int(v)}}}
	}
	want := []*GPU{
		{
			ID: gpuA, Host: "node-1", Hosts: []events.HostID{"node-1"}, Conflict: []events.HostID{"node-2"},
			Identity: events.Identity{UUID: string(gpuA), Index: "1"}, FirstSeen: 5, LastSeen: 5, Latest: latest(11),
		},
		{
			ID: "node-2:" + gpuA, Host: "node-2", Hosts: []events.HostID{"node-2"}, Conflict: []events.HostID{"node-1"},
			Identity: events.Identity{UUID: string(gpuA), Index: "2"}, FirstSeen: 5, LastSeen: 5, Latest: latest(99),
		},
	}
	got := MergeGPU(gpuA, fragmentsOf(gpuA, one("node-2", "2", 99), one("node-1", "1", 11)))
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("merged GPUs differ (-want +got):\n%s", diff)
	}
	if got := MergeGPU(gpuA, nil); len(got) != 0 {
		t.Errorf("GPU without fragments: got %v", got)
	}
}

func TestFragmentsLeaveOutTheHostItself(t *testing.T) {
	var h Host
	h.Apply(event("node-1", []record{
		{&events.Identity{Part: "cpu:0"}, "m", "m", 5, events.Value{}, 0},
		{&events.Identity{Index: "0"}, "m", "m", 7, events.Value{}, 0},
	}))
	var got []events.GPUID
	for gpu := range h.Fragments(h.Identity.Names(h.ID)) {
		got = append(got, gpu)
	}
	if diff := gocmp.Diff([]events.GPUID{"node-1:0"}, got); diff != "" {
		t.Errorf("fragments differ (-want +got):\n%s", diff)
	}
	if at, ok := h.FirstSeen(); at != 5 || !ok {
		t.Errorf("FirstSeen: got %v, %v", at, ok)
	}
	if at, ok := h.LastSeen(); at != 7 || !ok {
		t.Errorf("LastSeen: got %v, %v", at, ok)
	}
	if _, ok := new(Host).LastSeen(); ok {
		t.Error("a host without records was seen")
	}
}

func TestStatusOf(t *testing.T) {
	at := func(text string) events.Timestamp {
		ts, err := events.ParseTimestamp("2025-07-18T" + text + "Z")
		if err != nil {
			t.Fatal(err)
		}
		return ts
	}
	for _, c := range []struct {
		name            string
		last, host, now events.Timestamp
		want            Status
	}{
		{"just seen", at("20:00:00"), at("20:00:00"), at("20:00:01"), Active},
		{"at the limit", at("20:00:00"), at("20:00:00"), at("20:05:00"), Active},
		{"past the limit", at("20:00:00"), at("20:00:00"), at("20:05:00.000000001"), Stale},
		{"a clock ahead of ours", at("20:00:10"), at("20:00:10"), at("20:00:00"), Active},
		{"behind its host, at the limit", at("20:00:00"), at("20:10:00"), at("20:10:00"), Stale},
		{"behind its host", at("20:00:00"), at("20:10:01"), at("20:10:01"), Missing},
		{"behind its host, in an old file", at("08:00:00"), at("08:10:01"), at("20:00:00"), Missing},
		{"the ends of time", minTime, minTime, maxTime, Stale},
		{"behind by all of time", minTime, maxTime, maxTime, Missing},
	} {
		if got := StatusOf(c.last, c.host, c.now); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestSum(t *testing.T) {
	now := events.TimestampOf(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC))
	minutes := func(n int) events.Timestamp { return now - events.Timestamp(n)*events.Timestamp(time.Minute) }
	reading := func(metric string, v events.Value) Latest { return Latest{Metric: metric, Source: metric, Value: v} }
	number := func(m int64, e int16) events.Value {
		return events.Value{Number: events.Number{Mantissa: m, Exponent: e}}
	}
	gpus := []*GPU{
		{Host: "node-1", LastSeen: minutes(0), Latest: []Latest{
			reading("DCGM_FI_DEV_FB_USED", number(4, 0)), reading("DCGM_FI_DEV_GPU_TEMP", number(-5, 0)),
			reading("DCGM_FI_DEV_GPU_UTIL", number(1, 2)), reading("DCGM_FI_DEV_POWER_USAGE", number(66781, -3)),
		}, Parts: []Part{{Name: "mig:1", Latest: []Latest{reading("DCGM_FI_DEV_FB_USED", number(4, 0))}}}},
		{Host: "node-1", LastSeen: minutes(11), Latest: []Latest{
			reading("DCGM_FI_DEV_GPU_TEMP", number(-7, 0)),
			reading("DCGM_FI_DEV_GPU_UTIL", events.Value{Absent: events.NotSupported}),
			reading("DCGM_FI_DEV_POWER_USAGE", number(1, -1)),
		}},
		{Host: "node-2", LastSeen: minutes(60), Latest: []Latest{
			reading("DCGM_FI_DEV_GPU_UTIL", number(5, 1)), reading("DCGM_FI_DEV_POWER_USAGE", number(2, -1)),
		}},
	}
	seen := map[events.HostID]events.Timestamp{"node-1": minutes(0), "node-2": minutes(60)}
	got := Sum(gpus, func(h events.HostID) events.Timestamp { return seen[h] }, now)
	is := func(v float64) *float64 { return &v }
	want := Totals{
		GPUs: 3, Active: 1, Missing: 1, Stale: 1,
		UtilizationAvg: is(75), MemoryUsedMiB: is(4), PowerWatts: is(67.081), TemperatureMax: is(-5),
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("totals differ (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(Totals{}, Sum(nil, nil, now)); diff != "" {
		t.Errorf("totals of nothing differ (-want +got):\n%s", diff)
	}
}

// A GPU that several hosts report at once counts once, with the readings of the host that had it first, wherever that is in
// the list. A list of one host has that host's GPU.
func TestSumCountsAGPUOfSeveralHostsOnce(t *testing.T) {
	gpu := func(id events.GPUID, host events.HostID, watts int64, others ...events.HostID) *GPU {
		return &GPU{ID: id, Host: host, Conflict: others, Identity: events.Identity{UUID: "GPU-a"},
			Latest: []Latest{{Metric: "DCGM_FI_DEV_POWER_USAGE", Value: events.Value{Number: events.Int(watts)}}}}
	}
	one, first, two := gpu("a:GPU-a", "a", 1, "b", "c"), gpu("GPU-a", "b", 600, "a", "c"), gpu("c:GPU-a", "c", 2, "a", "b")
	other := &GPU{ID: "GPU-b", Host: "b", Latest: []Latest{{Metric: "DCGM_FI_DEV_POWER_USAGE", Value: events.Value{Number: events.Int(10)}}}}
	for name, c := range map[string]struct {
		list  []*GPU
		gpus  int
		watts float64
	}{
		"fleet":                    {[]*GPU{one, first, other, two}, 2, 610},
		"other order":              {[]*GPU{two, other, one, first}, 2, 610},
		"one host":                 {[]*GPU{one}, 1, 1},
		"without the first of all": {[]*GPU{one, two}, 1, 1},
	} {
		got := Sum(c.list, func(events.HostID) events.Timestamp { return 0 }, 0)
		if got.GPUs != c.gpus || got.Active != c.gpus || *got.PowerWatts != c.watts {
			t.Errorf("%s: %d GPUs, %d active, %v W; want %d and %v W", name, got.GPUs, got.Active, *got.PowerWatts, c.gpus, c.watts)
		}
	}
	for g, want := range map[*GPU]events.GPUID{one: "a:GPU-a", first: "b:GPU-a", other: "GPU-b"} {
		if got := g.OwnName(); got != want {
			t.Errorf("the name of %s on %s alone is %s, want %s", g.ID, g.Host, got, want)
		}
	}
}

// TestSumIgnoresOrder adds values that naive addition would round differently in each order.
func TestSumIgnoresOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 50))
	var gpus []*GPU
	exact := int64(0)
	for range 10_000 {
		m := rng.Int64N(700_000)
		exact += m
		gpus = append(gpus, &GPU{Latest: []Latest{{Metric: "DCGM_FI_DEV_POWER_USAGE", Value: events.Value{Number: milli(m)}}}})
	}
	want := milli(exact).Float()
	for range 5 {
		rng.Shuffle(len(gpus), func(i, j int) { gpus[i], gpus[j] = gpus[j], gpus[i] })
		if got := *Sum(gpus, func(events.HostID) events.Timestamp { return 0 }, 0).PowerWatts; got != want {
			t.Errorf("got %v W, want %v W", got, want)
		}
	}
}
