package history

import (
	"errors"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// steadyFleet returns hosts with a reading of two metrics of one GPU each minute. Each has a pod of its own.
func steadyFleet(hosts, minutes int) *fleet {
	f := newFleet()
	for host := range hosts {
		id := gpuIdentity(host, 0)
		id.Pod = fmt.Sprint("pod-", host)
		for minute := range minutes {
			at := start + events.Timestamp(time.Duration(minute)*time.Minute)
			f.addRow(events.HostID(fmt.Sprintf("host-%02d", host)), id, at, newReading(util, int64(minute)), newReading(power, int64(host)))
		}
	}
	return f
}

// archiveBefore returns a fleet with the later events stored, and an archive with the events before an instant.
func (f *fleet) archiveBefore(t *testing.T, before events.Timestamp) (*fleet, *fakeArchive) {
	t.Helper()
	rest, shelf := newFleet(), newFakeArchive(t)
	byPartition := make(map[events.Partition][]events.Event)
	for i, ev := range f.appended {
		ev = loggedEvent(ev, int64(i+1), f)
		if rest.foldTo(ev, ev.Last() >= before); ev.Last() >= before {
			continue
		}
		p := events.PartitionOf(ev.Host, f.facts.Partitions)
		byPartition[p] = append(byPartition[p], ev)
	}
	for p, evs := range byPartition {
		shelf.addEntry(t, p, evs)
		shelf.mergeEntries(t, p, 0, 1)
	}
	return rest, shelf
}

func TestPointsOfOneHostAreBounded(t *testing.T) {
	f := steadyFleet(1, 120)
	for name, before := range map[string]time.Duration{"stored": 0, "archived": 2 * time.Hour, "stored and archived": time.Hour} {
		rest, shelf := f.archiveBefore(t, start+events.Timestamp(before))
		s, h := rest.viewState(t), New(rest, nil)
		h.ReadArchive(shelf)
		for _, c := range []struct {
			step   time.Duration
			points int // of each of the two metrics
		}{{0, 120}, {time.Second, 120}, {time.Minute, 120}, {time.Hour, 2}} {
			q := Query{Step: c.step, Limit: MaxPoints}
			if c.step != 0 {
				q.Aggregates = []Aggregate{Avg}
			}
			h.mostPoints = 2*c.points - 1
			if _, err := h.Columns(t.Context(), s, q, func([]Series) error { return nil }); !errors.Is(err, ErrPoints) {
				t.Errorf("%s, step %s: %d points where %d are allowed: %v, want ErrPoints", name, c.step, 2*c.points, h.mostPoints, err)
			}
			q.Metrics = []string{power}
			if got := walkColumns(t, h, s, q); len(got) != 1 || got[0].Points() != c.points {
				t.Errorf("%s, step %s: got %d series, want one of %d points", name, c.step, len(got), c.points)
			}
		}
		if rolled := shelf.rolled.Load(); (rolled > 0) != (before > 0) {
			t.Errorf("%s: sums of %d objects were read", name, rolled)
		}
	}
}

// Hosts with too many points together are read in smaller groups.
func TestHostsWithManyPointsAreReadInTurn(t *testing.T) {
	f := steadyFleet(9, 30)
	s, whole, bounded := f.viewState(t), New(f, nil), New(f, nil)
	bounded.mostPoints = 100
	for _, step := range []time.Duration{0, time.Minute} {
		q := Query{Step: step, Limit: MaxPoints}
		if diff := gocmp.Diff(walkColumns(t, whole, s, q), walkColumns(t, bounded, s, q), gocmp.AllowUnexported(Summary{})); diff != "" {
			t.Errorf("step %s: (-want +got)\n%s", step, diff)
		}
	}
	q := Query{Step: time.Minute, Limit: 540}
	for _, by := range []string{ByCluster, ByHost} {
		want, err := whole.Groups(t.Context(), s, q, Grouping{By: by})
		if err != nil {
			t.Fatal(err)
		}
		got, err := bounded.Groups(t.Context(), s, q, Grouping{By: by})
		if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(GroupSum{})); err != nil || diff != "" {
			t.Errorf("by %s: %v (-want +got)\n%s", by, err, diff)
		}
	}
	bounded.mostPoints = 59
	if _, err := bounded.Groups(t.Context(), s, q, Grouping{By: ByCluster}); !errors.Is(err, ErrPoints) {
		t.Errorf("60 sums of one host where 59 are allowed: %v, want ErrPoints", err)
	}
}

// Groups with more points than the limit are refused before all hosts, or all hours of one, are read.
func TestGroupsAreRefusedBeforeAllIsRead(t *testing.T) {
	long, wide := steadyFleet(1, 100*60), steadyFleet(40, 30)
	for name, c := range map[string]struct {
		fleet *fleet
		by    Grouping
		limit int
		reads int64
	}{
		"one host of 100 hours": {long, Grouping{By: ByHost}, 1, windowsPerRead},
		"40 hosts":              {wide, Grouping{By: ByHost}, 60, columnHosts},
		"40 GPUs":               {wide, Grouping{By: ByLabel, Label: "pod"}, 1, columnHosts},
	} {
		h := New(c.fleet, nil)
		c.fleet.reads.Store(0)
		_, err := h.Groups(t.Context(), c.fleet.viewState(t), Query{Step: time.Second, Limit: c.limit}, c.by)
		if reads := c.fleet.reads.Load(); !errors.Is(err, ErrPoints) || reads > c.reads {
			t.Errorf("%s: %v after %d windows, want ErrPoints after at most %d", name, err, reads, c.reads)
		}
	}
}

func TestGroupsMayHaveAsManyPointsAsTheLimit(t *testing.T) {
	f := steadyFleet(2, 30)
	s, h := f.viewState(t), New(f, nil)
	for by, points := range map[string]int{ByCluster: 60, ByHost: 120} {
		q := Query{Step: time.Minute, Limit: points}
		if _, err := h.Groups(t.Context(), s, q, Grouping{By: by}); err != nil {
			t.Errorf("by %s: %d points with that limit: %v", by, points, err)
		}
		q.Limit--
		if _, err := h.Groups(t.Context(), s, q, Grouping{By: by}); !errors.Is(err, ErrPoints) {
			t.Errorf("by %s: %d points with a smaller limit: %v, want ErrPoints", by, points, err)
		}
	}
}

// Sums of the archive are counted while they are read, object by object.
func TestArchivedSumsAreRefusedBeforeAllAreRead(t *testing.T) {
	f := steadyFleet(1, 8*60)
	rest, shelf := newFleet(), newFakeArchive(t)
	p := events.PartitionOf("host-00", f.facts.Partitions)
	for i, perEntry := 0, len(f.appended)/8; i < len(f.appended); i += perEntry {
		var evs []events.Event
		for j, ev := range f.appended[i:min(i+perEntry, len(f.appended))] {
			evs = append(evs, loggedEvent(ev, int64(i+j+1), f))
			rest.foldTo(evs[j], false)
		}
		n := len(shelf.entries[p])
		shelf.addEntry(t, p, evs)
		shelf.mergeEntries(t, p, n, n+1)
	}
	h := New(rest, nil)
	h.ReadArchive(shelf)
	h.mostPoints = 5
	q := Query{Step: time.Hour, Limit: MaxPoints, Aggregates: []Aggregate{Avg}}
	_, err := h.Columns(t.Context(), rest.viewState(t), q, func([]Series) error { return nil })
	if rolled := shelf.rolled.Load(); !errors.Is(err, ErrPoints) || rolled > 4 {
		t.Errorf("%v after sums of %d objects of %d, want ErrPoints after at most 4", err, rolled, len(shelf.entries[p]))
	}
}
