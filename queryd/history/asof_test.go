package history

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/projectionstest"
	"telemetry-pipeline/queryd/live"
)

// foldUpTo folds only the records of a fleet up to an instant, without History.
func foldUpTo(evs []events.Event, at events.Timestamp) map[events.HostID]*projections.Host {
	hosts := make(map[events.HostID]*projections.Host)
	for _, ev := range evs {
		part := ev
		part.Columns = nil
		for _, c := range ev.Columns {
			n := 0
			for n < c.Len() && c.Times[n] <= at {
				n++
			}
			if n > 0 {
				c.Samples = c.Slice(0, n)
				part.Columns = append(part.Columns, c)
			}
		}
		if len(part.Columns) == 0 {
			continue
		}
		h := hosts[ev.Host]
		if h == nil {
			h = &projections.Host{ID: ev.Host}
		}
		h.Apply(&part)
		if len(h.Live.Entities) > 0 { // otherwise all were implausible
			hosts[ev.Host] = h
		}
	}
	return hosts
}

// sameAsFold fails the test unless a state equals a fold of the records up to at.
func sameAsFold(t *testing.T, s, past *live.State, evs []events.Event, at events.Timestamp) {
	t.Helper()
	want := foldUpTo(evs, at)
	var models []projections.Stored
	for _, host := range s.Hosts() {
		w, ok := want[host.ID]
		got, there := past.Host(host.ID)
		if ok != there {
			t.Errorf("at %s: host %s there %v, want %v", at, host.ID, there, ok)
			continue
		}
		if !ok {
			continue
		}
		models = append(models, projections.Stored{Host: w.ID, Partition: host.Partition, Live: &w.Live, Identity: &w.Identity})
		if err := got.Check(); err != nil {
			t.Errorf("at %s: %v", at, err)
		}
		ignored := cmpopts.IgnoreFields(projections.LiveEntity{}, "Said") // the identity has what older records said
		if diff := cmp.Diff(projectionstest.WithoutAppends(w.Live), projectionstest.WithoutAppends(got.Live), ignored, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("at %s: readings of %s (-want +got):\n%s", at, host.ID, diff)
		}
	}
	if diff := cmp.Diff(s.WithHosts(models).GPUs(), past.GPUs()); diff != "" {
		t.Errorf("at %s: GPUs (-want +got):\n%s", at, diff)
	}
}

// testInstants returns instants to ask for: times of records, just before and after them, and outside of all.
func testInstants(f *fleet, r *rand.Rand) []events.Timestamp {
	at := []events.Timestamp{math.MinInt64, 0, start - 1, math.MaxInt64}
	for range 12 {
		ev := f.appended[r.IntN(len(f.appended))]
		c := ev.Columns[r.IntN(len(ev.Columns))]
		at = append(at, c.Times[r.IntN(c.Len())]+events.Timestamp(r.IntN(3)-1))
	}
	return at
}

func TestAsOfIsAFoldOfTheRecordsUpToThen(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		whole := denseFleet(r)
		if seed%2 == 0 {
			whole = randomFleet(r)
		}
		s := whole.viewState(t)
		hot := New(whole, nil)
		f, shelf := (archiveLayout{left: seed%4 < 2, repeated: seed%3 == 0, loose: seed%2 == 1}).splitFleet(t, whole, r)
		cold := New(f, nil)
		cold.ReadArchive(shelf)
		coldState := f.viewState(t)
		for _, at := range testInstants(whole, r) {
			past, err := hot.AsOf(t.Context(), s, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			sameAsFold(t, s, past, whole.appended, at)
			if past, err = cold.AsOf(t.Context(), coldState, at, nil); err != nil {
				t.Fatal(err)
			}
			sameAsFold(t, coldState, past, whole.appended, at)
		}
	}
}

func TestAsOfOfOneHostIsThatOfTheFleet(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	f := randomFleet(r)
	s, h := f.viewState(t), New(f, nil)
	for _, at := range testInstants(f, r) {
		all, err := h.AsOf(t.Context(), s, at, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range s.Hosts() {
			one, err := h.AsOf(t.Context(), s, at, []events.HostID{host.ID})
			if err != nil {
				t.Fatal(err)
			}
			want, _ := all.Host(host.ID)
			got, _ := one.Host(host.ID)
			if (want == nil) != (got == nil) {
				t.Fatalf("at %s: host %s is %v alone, %v in the fleet", at, host.ID, got, want)
			}
			if want != nil {
				if diff := cmp.Diff(want.GPUs, got.GPUs); diff != "" {
					t.Errorf("at %s: GPUs of %s alone (-fleet +alone):\n%s", at, host.ID, diff)
				}
			}
		}
	}
}

// Entities last seen by then need no reading, and a repeated question is answered from memory.
func TestAsOfReadsWhatItNeeds(t *testing.T) {
	f := newFleet()
	id := gpuIdentity(0, 0)
	for hour := range 100 {
		f.addRow("a", id, start+events.Timestamp(time.Duration(hour)*time.Hour), newReading(util, int64(hour)))
	}
	f.addRow("b", gpuIdentity(1, 0), start, newReading(util, 1))
	s, h := f.viewState(t), New(f, nil)
	for _, c := range []struct {
		at    events.Timestamp
		reads int64
	}{
		{start + events.Timestamp(200*time.Hour), 0},
		{start + events.Timestamp(99*time.Hour), 0},
		{start + events.Timestamp(50*time.Hour), 1},
		{start + events.Timestamp(50*time.Hour), 0},
		{start - 1, 0},
	} {
		before := f.reads.Load()
		if _, err := h.AsOf(t.Context(), s, c.at, nil); err != nil {
			t.Fatal(err)
		}
		if got := f.reads.Load() - before; got != c.reads {
			t.Errorf("as of %s read %d windows, want %d", c.at, got, c.reads)
		}
	}
	for i := range 3 * maxMoments {
		if _, err := h.AsOf(t.Context(), s, start+events.Timestamp(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(h.moments.states); got != maxMoments {
		t.Errorf("%d past states are kept, want %d", got, maxMoments)
	}
}

// The search for a workload passes readings of metrics whose newest reading by the instant is known already.
func TestAsOfFindsAWorkloadBehindNewerReadings(t *testing.T) {
	f := newFleet()
	plain := gpuIdentity(1, 0)
	named := plain
	named.Pod = "training"
	at := func(minutes int) events.Timestamp {
		return start + events.Timestamp(time.Duration(minutes)*time.Minute)
	}
	f.addRow("a", named, at(0), newReading(util, 1), newReading(power, 10))
	f.addRow("a", plain, at(30), newReading(power, 20))
	f.addRow("a", plain, at(90), newReading("DCGM_FI_DEV_GPU_TEMP", 50))
	f.addRow("a", plain, at(180), newReading(util, 2))
	s := f.viewState(t)
	past, err := New(f, nil).AsOf(t.Context(), s, at(120), nil)
	if err != nil {
		t.Fatal(err)
	}
	sameAsFold(t, s, past, f.appended, at(120))
	if got := past.GPUs()[0].Identity.Pod; got != "training" {
		t.Errorf("the pod is %q, want training", got)
	}
}

func TestAsOfReturnsErrors(t *testing.T) {
	f := newFleet()
	for hour := range 5 {
		f.addRow("a", gpuIdentity(0, 0), start+events.Timestamp(time.Duration(hour)*time.Hour), newReading(util, int64(hour)))
	}
	s, h := f.viewState(t), New(f, nil)
	f.fail = errors.New("etcd is away")
	if _, err := h.AsOf(t.Context(), s, start, nil); !errors.Is(err, f.fail) {
		t.Errorf("got %v, want %v", err, f.fail)
	}
	f.fail = nil
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("enough"))
	if _, err := h.AsOf(ctx, s, start, nil); err == nil {
		t.Error("an ended request is answered")
	}
	if past, err := h.AsOf(t.Context(), s, start, nil); err != nil || len(past.GPUs()) != 1 {
		t.Errorf("after failures: %v", err)
	}
}

// History that is no longer kept leaves out the readings that were only in it.
func TestAsOfBeyondWhatIsKept(t *testing.T) {
	f := newFleet()
	id := gpuIdentity(0, 0)
	f.addRow("a", id, start, newReading(power, 7))
	for hour := range 5 {
		f.addRow("a", id, start+events.Timestamp(time.Duration(hour)*time.Hour), newReading(util, int64(hour)))
	}
	for w := range f.series["a"] {
		if w < projections.WindowOf(start)+3 {
			delete(f.series["a"], w)
		}
	}
	s := f.viewState(t)
	past, err := New(f, nil).AsOf(t.Context(), s, start+events.Timestamp(time.Hour), nil)
	if err != nil || len(past.GPUs()) != 1 {
		t.Fatalf("%d GPUs, %v; want the one with unchanged power", len(past.GPUs()), err)
	}
	got := past.GPUs()[0].Latest
	if !slices.ContainsFunc(got, func(l projections.Latest) bool { return l.Metric == power && l.Value.Number == events.Int(7) }) || len(got) != 1 {
		t.Errorf("latest is %v, want the power alone", got)
	}
}
