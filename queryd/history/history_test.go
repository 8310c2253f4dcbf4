package history

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

var start = events.TimestampOf(time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC))

const (
	util  = "DCGM_FI_DEV_GPU_UTIL"
	power = "DCGM_FI_DEV_POWER_USAGE"
)

// gpuIdentity returns the identity of a GPU of a random fleet.
func gpuIdentity(host, index int) events.Identity {
	return events.Identity{UUID: fmt.Sprintf("GPU-%02d-%d", host, index), Index: fmt.Sprint(index)}
}

// randomFleet returns a fleet of few hosts and GPUs whose records lie in runs of windows with gaps; many share their
// instant.
func randomFleet(r *rand.Rand) *fleet {
	f := newFleet()
	for h := range 4 {
		host := events.HostID(fmt.Sprintf("host-%d", h))
		for range 60 {
			hour := []int{0, 1, 2, 30, 31, 500}[r.IntN(6)] + h%2
			at := start + events.Timestamp(time.Duration(hour)*time.Hour+time.Duration(r.IntN(6))*10*time.Minute)
			id := gpuIdentity(h, r.IntN(3))
			if r.IntN(4) == 0 {
				id = gpuIdentity(0, 0) // moves between hosts
			}
			if r.IntN(6) == 0 {
				id.Part = "mig:1"
			}
			metric := []string{util, power}[r.IntN(2)]
			f.addRow(host, id, at, newReading(metric, int64(r.IntN(100))))
		}
	}
	return f
}

// walkPages returns the entries on all pages of a query.
func walkPages(t *testing.T, h *History, s *live.State, q Query) []projections.Entry {
	t.Helper()
	var all []projections.Entry
	for pages := 0; ; pages++ {
		page, err := h.Telemetry(t.Context(), s, q)
		if err != nil {
			t.Fatalf("page %d of %+v: %v", pages, q, err)
		}
		if len(page.Entries) > q.Limit {
			t.Fatalf("page of %d entries, limit %d", len(page.Entries), q.Limit)
		}
		if page.Next != "" && len(page.Entries) != q.Limit {
			t.Fatalf("page of %d entries has a next page, limit %d", len(page.Entries), q.Limit)
		}
		all = append(all, page.Entries...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return all
		}
	}
}

// expectedEntries returns the entries of a correct answer, read from the stored series without History.
func (f *fleet) expectedEntries(q Query, gpus []events.GPUID) []projections.Entry {
	var all []projections.Entry
	for host, windows := range f.series {
		if len(q.Hosts) > 0 && !slices.Contains(q.Hosts, host) {
			continue
		}
		for _, s := range windows {
			h := f.hosts[host]
			s = h.Resolve(h.Identity.Names(host), &s)
			for _, e := range projections.Entries(host, &s, projections.EntryFilter{Metrics: q.Metrics}) {
				if queryRange(q).contains(e.At) && (len(gpus) == 0 || slices.Contains(gpus, e.Entity.GPU)) {
					all = append(all, e)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b projections.Entry) int {
		if q.Oldest {
			return a.Place().Compare(b.Place())
		}
		return b.Place().Compare(a.Place())
	})
	return all
}

func TestPagesOfAnySizeAreOneSequence(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := randomFleet(r)
		s, h := f.viewState(t), New(f, nil)
		for _, q := range []Query{
			{},
			{Oldest: true},
			{Hosts: []events.HostID{"host-1", "host-3", "no-host"}},
			{GPUs: []events.GPUID{"GPU-00-0", "GPU-02-1"}},
			{GPUs: []events.GPUID{"GPU-00-0"}, Hosts: []events.HostID{"host-2"}, Oldest: true},
			{Metrics: []string{power}, Oldest: true},
			{Metrics: []string{power, util}, HasFrom: true, From: start + events.Timestamp(time.Hour), HasTo: true, To: start + events.Timestamp(31*time.Hour)},
			{HasTo: true, To: start + events.Timestamp(30*time.Hour+30*time.Minute)},
			{HasFrom: true, From: start + events.Timestamp(time.Hour+20*time.Minute), Oldest: true},
			{HasFrom: true, From: start + 5, HasTo: true, To: start + 4},
			{GPUs: []events.GPUID{"GPU-no"}},
		} {
			want := f.expectedEntries(q, q.GPUs)
			for _, limit := range []int{1, 3, 50, 239, MaxLimit} {
				q.Limit = limit
				got := walkPages(t, h, s, q)
				if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
					t.Fatalf("seed %d, limit %d, query %+v: (-want +got)\n%s", seed, limit, q, diff)
				}
			}
		}
	}
}

func TestHostIndexFollowsTheGPU(t *testing.T) {
	f := newFleet()
	// GPU-A is at index 0 of a, moves to b; then GPU-B comes to index 0 of a.
	f.addRow("a", events.Identity{UUID: "GPU-A", Index: "0"}, start, newReading(util, 1))
	f.addRow("b", events.Identity{UUID: "GPU-A", Index: "3"}, start+events.Timestamp(2*time.Hour), newReading(util, 2))
	f.addRow("a", events.Identity{UUID: "GPU-B", Index: "0"}, start+events.Timestamp(3*time.Hour), newReading(util, 3))
	s, h := f.viewState(t), New(f, nil)
	for id, want := range map[events.GPUID][]events.HostID{"b:3": {"b", "a"}, "a:0": {"a"}, "GPU-A": {"b", "a"}} {
		var got []events.HostID
		for _, e := range walkPages(t, h, s, Query{GPUs: []events.GPUID{id}, Limit: 10}) {
			got = append(got, e.Host)
		}
		if !slices.Equal(got, want) {
			t.Errorf("history of %s is from %v, want %v", id, got, want)
		}
	}
	if got := walkPages(t, h, s, Query{GPUs: []events.GPUID{"a:0"}, Limit: 1}); got[0].Entity.GPU != "GPU-B" {
		t.Errorf("a:0 is %s, want GPU-B", got[0].Entity.GPU)
	}
}

// A GPU that has left the live models, or one of its hosts, keeps its history, by the name in its records.
func TestHistoryStaysWhenAGPUHasLeftTheLiveModel(t *testing.T) {
	f := newFleet()
	f.addRow("a", events.Identity{UUID: "GPU-moved", Index: "0"}, start, newReading(util, 1))
	f.addRow("a", events.Identity{UUID: "GPU-gone", Index: "1"}, start, newReading(util, 2))
	f.addRow("a", events.Identity{Index: "1"}, start+events.Timestamp(time.Second), newReading(util, 2))
	f.addRow("a", events.Identity{PCI: "00000000:1b:00.0"}, start, newReading(util, 3))
	f.addRow("b", events.Identity{UUID: "GPU-moved", Index: "0"}, start+events.Timestamp(time.Hour), newReading(util, 4))
	f.hosts["a"].Live.Entities = nil
	s, h := f.viewState(t), New(f, nil)
	for name, want := range map[events.GPUID]int{"GPU-moved": 2, "b:0": 2, "GPU-gone": 2, "a:GPU-gone": 2, "a:1": 2, "a:0": 2, "a:1B:00.0": 1, "b:1b:00.0": 0, "GPU-none": 0} {
		if got := walkPages(t, h, s, Query{GPUs: []events.GPUID{name}, Limit: 10}); len(got) != want {
			t.Errorf("history of %s has %d entries, want %d", name, len(got), want)
		}
	}
	past, err := h.AsOf(t.Context(), s, start, s.HostsNaming("a:1"))
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := past.GPU("a:1"); !ok || g.ID != "GPU-gone" {
		t.Errorf("a:1 as of its record is %v, want GPU-gone", g)
	}
}

func TestCursorOfAnotherQueryIsRefused(t *testing.T) {
	f := randomFleet(rand.New(rand.NewPCG(1, 2)))
	s, h := f.viewState(t), New(f, nil)
	first := Query{Hosts: []events.HostID{"host-1", "host-2"}, Metrics: []string{util}, HasFrom: true, From: start, Limit: 1}
	page, err := h.Telemetry(t.Context(), s, first)
	if err != nil || page.Next == "" {
		t.Fatalf("first page: %+v, %v", page, err)
	}
	for name, change := range map[string]func(*Query){
		"hosts":    func(q *Query) { q.Hosts = q.Hosts[:1] },
		"no hosts": func(q *Query) { q.Hosts = nil },
		"gpus":     func(q *Query) { q.GPUs = []events.GPUID{"GPU-01-1"} },
		"metrics":  func(q *Query) { q.Metrics = []string{power} },
		"order":    func(q *Query) { q.Oldest = true },
		"from":     func(q *Query) { q.From++ },
		"no from":  func(q *Query) { q.HasFrom = false },
		"to":       func(q *Query) { q.HasTo, q.To = true, start },
		"garbage":  func(q *Query) { q.Cursor = "AAAA" },
		"text":     func(q *Query) { q.Cursor = "%%%" },
		"cut":      func(q *Query) { q.Cursor = q.Cursor[:len(q.Cursor)-4] },
		"long":     func(q *Query) { q.Cursor += "AAAA" },
	} {
		q := first
		q.Cursor = page.Next
		change(&q)
		if _, err := h.Telemetry(t.Context(), s, q); !errors.Is(err, ErrCursor) {
			t.Errorf("%s changed: %v, want ErrCursor", name, err)
		}
	}
	same := first
	same.Cursor, same.Limit = page.Next, 5
	same.Hosts = []events.HostID{"host-2", "host-1", "host-1"}
	if _, err := h.Telemetry(t.Context(), s, same); err != nil {
		t.Errorf("the same query with another limit and order of hosts: %v", err)
	}
	moving := first
	moving.Cursor, moving.Moving = page.Next, true
	moving.From += events.Timestamp(1000 * time.Hour) // the value of now-… a while later
	got, err := h.Telemetry(t.Context(), s, moving)
	if err != nil || len(got.Entries) != 1 {
		t.Errorf("a moving range on the second page: %d entries, %v; want 1", len(got.Entries), err)
	}
}

func TestReadsOnlyWhatThePageNeeds(t *testing.T) {
	f := newFleet()
	for hour := range 200 {
		for minute := range 60 {
			at := start + events.Timestamp(time.Duration(hour)*time.Hour+time.Duration(minute)*time.Minute)
			f.addRow("a", gpuIdentity(1, 0), at, newReading(util, int64(minute)))
		}
		f.addRow("b", gpuIdentity(2, 0), start+events.Timestamp(time.Duration(hour)*time.Hour), newReading(util, 1))
	}
	s, h := f.viewState(t), New(f, nil)
	for _, c := range []struct {
		q    Query
		most int64
	}{
		{Query{Hosts: []events.HostID{"a"}, Limit: 59}, 1},
		{Query{Hosts: []events.HostID{"a"}, Limit: 50, Oldest: true}, 1},
		{Query{Hosts: []events.HostID{"a"}, Limit: 60 * 24}, 26},
		{Query{Hosts: []events.HostID{"b"}, Limit: 100}, 110},
		{Query{Limit: 10}, 2},
		{Query{GPUs: []events.GPUID{"GPU-02-0"}, Limit: 1}, 2},
		{Query{Hosts: []events.HostID{"a"}, Limit: 10, HasTo: true, To: start - 1}, 0},
		{Query{Hosts: []events.HostID{"a"}, Limit: 10_000, HasFrom: true, From: start + events.Timestamp(199*time.Hour)}, 1},
	} {
		f.reads.Store(0)
		if _, err := h.Telemetry(t.Context(), s, c.q); err != nil {
			t.Fatal(err)
		}
		if got := f.reads.Load(); got > c.most {
			t.Errorf("%+v read %d windows, want at most %d", c.q, got, c.most)
		}
	}
}

func TestErrors(t *testing.T) {
	f := randomFleet(rand.New(rand.NewPCG(3, 4)))
	s, h := f.viewState(t), New(f, nil)
	for _, limit := range []int{-1, 0, MaxLimit + 1} {
		if _, err := h.Telemetry(t.Context(), s, Query{Limit: limit}); !errors.Is(err, ErrLimit) {
			t.Errorf("limit %d: %v, want ErrLimit", limit, err)
		}
	}
	f.fail = errors.New("etcd is away")
	if page, err := h.Telemetry(t.Context(), s, Query{Limit: 10}); !errors.Is(err, f.fail) {
		t.Errorf("a failing store: %+v, %v; want its error", page, err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(string(cursor{after: projections.Place{At: 5, Host: "h", Entity: events.Entity{GPU: "g", Part: "p"}}, times: timeRange{-3, 9}, digest: 1}.encodeCursor()))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Cursor(text).decodeCursor()
		if err != nil {
			return
		}
		if again, err := c.encodeCursor().decodeCursor(); err != nil || again != c {
			t.Errorf("%q is %+v, written and read again %+v, %v", text, c, again, err)
		}
	})
}
