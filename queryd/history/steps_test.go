package history

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// flatBucket is a bucket in comparable form: the results of Number for every aggregate.
type flatBucket struct {
	Place   projections.Place
	Metric  string
	Numbers map[Aggregate]string
}

// walkBuckets returns the buckets on all pages of a query.
func walkBuckets(t *testing.T, h *History, s *live.State, q Query) []flatBucket {
	t.Helper()
	var all []flatBucket
	for pages := 0; ; pages++ {
		page, err := h.Buckets(t.Context(), s, q)
		if err != nil {
			t.Fatalf("page %d of %+v: %v", pages, q, err)
		}
		if len(page.Buckets) > q.Limit || (page.Next != "" && len(page.Buckets) != q.Limit) {
			t.Fatalf("page of %d buckets, next %q, limit %d", len(page.Buckets), page.Next, q.Limit)
		}
		for _, b := range page.Buckets {
			for _, m := range b.Metrics {
				f := flatBucket{b.Place(), m.Metric, make(map[Aggregate]string)}
				for _, a := range q.Aggregates {
					if n, ok := m.Number(a); ok {
						f.Numbers[a] = n.String()
					}
				}
				all = append(all, f)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return all
		}
	}
}

// timedNumber is one number at one time.
type timedNumber struct {
	at events.Timestamp
	n  events.Number
}

// naiveSums computes buckets from entries with the simplest algorithm.
func naiveSums(entries []projections.Entry, q Query) []flatBucket {
	type series struct {
		place  projections.Place
		metric string
	}
	sets := make(map[series]map[timedNumber]bool)
	for _, e := range entries {
		for _, r := range e.Readings {
			v := r.Value()
			if v.Absent != events.Present {
				continue
			}
			start := events.Timestamp(math.Floor(float64(e.At)/float64(q.Step))) * events.Timestamp(q.Step)
			key := series{projections.Place{At: start, Host: e.Host, Entity: e.Entity}, r.Metric()}
			if sets[key] == nil {
				sets[key] = make(map[timedNumber]bool)
			}
			sets[key][timedNumber{e.At, v.Number}] = true
		}
	}
	var all []flatBucket
	for key, set := range sets {
		all = append(all, flatBucket{key.place, key.metric, aggregateNumbers(set, q.Aggregates)})
	}
	slices.SortFunc(all, func(a, b flatBucket) int {
		c := a.Place.Compare(b.Place)
		if !q.Oldest {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.Metric, b.Metric))
	})
	return all
}

func aggregateNumbers(set map[timedNumber]bool, aggregates []Aggregate) map[Aggregate]string {
	var list []timedNumber
	sum := 0.0
	for r := range set {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b timedNumber) int { return a.n.Compare(b.n) })
	last := list[0]
	for _, r := range list {
		sum += r.n.Float()
		if r.at > last.at || (r.at == last.at && events.Value{Number: r.n}.Compare(events.Value{Number: last.n}) > 0) {
			last = r
		}
	}
	mean, _ := averageOf(sum, int64(len(list)))
	out := map[Aggregate]string{}
	for _, a := range aggregates {
		out[a] = map[Aggregate]string{
			Avg: mean.String(), Min: list[0].n.String(), Max: list[len(list)-1].n.String(), Last: last.n.String(),
			P95: list[int(math.Ceil(float64(len(list))*0.95))-1].n.String(), Count: events.Int(int64(len(list))).String(),
		}[a]
	}
	return out
}

func TestBucketsAreTheNaiveSums(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 7))
		f := randomFleet(r)
		f.addRow("host-1", gpuIdentity(1, 1), start+1, events.Record{Metric: util, Value: events.Value{Absent: events.NotSupported, Raw: "N/A"}})
		f.addRow("host-1", gpuIdentity(1, 1), start+events.Timestamp(90*time.Hour), events.Record{Metric: util, Value: events.Value{Absent: events.Blank}})
		s, h := f.viewState(t), New(f, nil)
		for _, step := range []time.Duration{time.Second, 10 * time.Minute, 7 * time.Minute, time.Hour, 90 * time.Minute, 24 * time.Hour, 100 * 24 * time.Hour} {
			for _, q := range []Query{
				{},
				{Oldest: true},
				{Hosts: []events.HostID{"host-1", "host-3", "no-host"}},
				{GPUs: []events.GPUID{"GPU-00-0", "GPU-02-1"}, Oldest: true},
				{Metrics: []string{power}},
				{HasFrom: true, From: start + events.Timestamp(time.Hour+20*time.Minute), HasTo: true, To: start + events.Timestamp(31*time.Hour)},
				{HasFrom: true, From: start + 5, HasTo: true, To: start + 4},
			} {
				q.Step, q.Aggregates = step, Aggregates()
				if step > MaxP95Step {
					q.Aggregates = []Aggregate{Count, Last, Avg, Max, Min}
				}
				want := naiveSums(f.expectedEntries(q, q.GPUs), q)
				for _, limit := range []int{1, 7, 239, MaxLimit} {
					q.Limit = limit
					if diff := gocmp.Diff(want, walkBuckets(t, h, s, q)); diff != "" && len(want) > 0 {
						t.Fatalf("seed %d, limit %d, query %+v: (-want +got)\n%s", seed, limit, q, diff)
					}
				}
			}
		}
	}
}

func TestParseStep(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "30s": 30 * time.Second, "1m": time.Minute, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute,
		"1d": 24 * time.Hour, "1d12h": 36 * time.Hour, "366d": MaxStep, "0h1s": time.Second,
	} {
		if got, err := ParseStep(text); err != nil || got != want {
			t.Errorf("ParseStep(%q) = %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "0s", "1", "s", "-1h", "+1h", "1.5h", "500ms", "1w", "1y", "367d", "1h1d", "1h1h", " 1h", "1h ", "366d1s", "99999999999999999999s", "1H", "1٣h",
	} {
		if got, err := ParseStep(text); err == nil {
			t.Errorf("ParseStep(%q) = %s, want an error", text, got)
		}
	}
}

func TestStepsThatCannotBeAnsweredAreRefused(t *testing.T) {
	f := randomFleet(rand.New(rand.NewPCG(3, 4)))
	s, h := f.viewState(t), New(f, nil)
	for name, c := range map[string]struct {
		q    Query
		want error
	}{
		"no step":   {Query{Limit: 1}, errStep},
		"short":     {Query{Limit: 1, Step: time.Millisecond}, errStep},
		"fraction":  {Query{Limit: 1, Step: 1500 * time.Millisecond}, errStep},
		"long p95":  {Query{Limit: 1, Step: 48 * time.Hour, Aggregates: []Aggregate{P95}}, ErrP95Step},
		"no limit":  {Query{Step: time.Hour}, ErrLimit},
		"huge page": {Query{Step: time.Hour, Limit: MaxLimit + 1}, ErrLimit},
	} {
		if _, err := h.Buckets(t.Context(), s, c.q); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := h.Buckets(t.Context(), s, Query{Limit: 1, Step: time.Hour, Aggregates: []Aggregate{"median"}}); err == nil {
		t.Error("aggregate median is answered")
	}
	page, err := h.Buckets(t.Context(), s, Query{Limit: 1, Step: time.Hour})
	if err != nil || page.Next == "" {
		t.Fatalf("first page: %+v, %v", page, err)
	}
	for _, step := range []time.Duration{time.Minute, 0} {
		q := Query{Limit: 1, Step: step, Cursor: page.Next}
		if step == 0 {
			_, err = h.Telemetry(t.Context(), s, q)
		} else {
			_, err = h.Buckets(t.Context(), s, q)
		}
		if !errors.Is(err, ErrCursor) {
			t.Errorf("a cursor of step 1h with step %s: %v, want ErrCursor", step, err)
		}
	}
}

func FuzzSlot(f *testing.F) {
	f.Add(int64(math.MinInt64), uint32(0))
	f.Add(int64(math.MaxInt64), uint32(3599))
	f.Add(int64(-1), uint32(59))
	f.Fuzz(func(t *testing.T, nanos int64, seconds uint32) {
		at, step := events.Timestamp(nanos), time.Duration(seconds%uint32(MaxStep/time.Second)+1)*time.Second
		slot := slotOf(at, step)
		first, last := slotStart(slot, step), slotEnd(slot, step)
		if at < first || at > last {
			t.Errorf("%d is in slot %d of %s, which is %d to %d", at, slot, step, first, last)
		}
		if first != math.MinInt64 && (slotOf(first-1, step) != slot-1 || int64(first)%int64(step) != 0) {
			t.Errorf("slot %d of %s begins at %d", slot, step, first)
		}
		if last != math.MaxInt64 && slotOf(last+1, step) != slot+1 {
			t.Errorf("slot %d of %s ends at %d", slot, step, last)
		}
	})
}
