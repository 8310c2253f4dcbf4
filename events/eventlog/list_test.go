package eventlog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// listedLog returns a log of 700 events in revisions of up to 20, with two foreign keys and a damaged event among
// them.
func listedLog(t *testing.T) (*eventlog.Log, []events.Ref) {
	t.Helper()
	cfg := eventstest.Config(t)
	log, client := eventstest.OpenLog(t, cfg), eventstest.Etcd(t)
	var want []events.Ref
	put := func(key string) events.Revision {
		resp, err := client.Put(t.Context(), cfg.Root+"/"+key, "\xffnothing")
		if err != nil {
			t.Fatal(err)
		}
		return events.Revision{Epoch: log.Facts().Epoch, Cluster: log.Facts().Cluster, Number: resp.Header.Revision}
	}
	queue := events.QueuePrefix(cfg.ClusterID)
	if cfg.ClusterID == "" {
		queue = events.QueuePrefix(eventlog.DefaultClusterID)
	}
	for i := range 50 {
		n := i%20 + 1
		if i == 7 || i == 30 {
			put(fmt.Sprintf("%s2025_a_%d", queue, i))
		}
		if i == 20 {
			key := queue + "003/broken"
			want = append(want, events.Ref{Key: cfg.Root + "/" + key, Revision: put(key)})
		}
		var evs []events.Event
		for k := range n {
			evs = append(evs, eventstest.Event(events.HostID(fmt.Sprintf("host-%d", k)), i))
		}
		got, err := log.Append(t.Context(), evs)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			want = append(want, events.Ref{Key: a.Key, Revision: a.Revision})
		}
	}
	slices.SortFunc(want, events.Ref.Compare)
	return log, want
}

func TestListWalksTheLogFromEitherEnd(t *testing.T) {
	log, want := listedLog(t)
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, newest := range []bool{false, true} {
		expected := slices.Clone(want)
		if newest {
			slices.Reverse(expected)
		}
		var got []events.Ref
		q := events.Listing{Upto: head, Newest: newest, Limit: 1}
		for pages := 0; ; pages++ {
			refs, more, err := log.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, refs...)
			if !more {
				if pages == 0 {
					t.Error("one page held everything: the test lists too little")
				}
				break
			}
			last := refs[len(refs)-1].Revision
			if newest {
				last.Number--
				q.Upto = last
			} else {
				q.After = last
			}
		}
		if !slices.Equal(got, expected) {
			t.Errorf("newest %v: listed %d refs, want %d in their order", newest, len(got), len(expected))
		}
	}
}

func TestListOfAPartitionAndARange(t *testing.T) {
	log, want := listedLog(t)
	p := events.PartitionOf("host-3", log.Facts().Partitions)
	from, to := want[100].Revision, want[400].Revision
	got, more, err := log.List(t.Context(), events.Listing{Partition: p, HasPartition: true, After: from, Upto: to, Limit: 10})
	if err != nil || more {
		t.Fatalf("more %v, %v", more, err)
	}
	expected := slices.DeleteFunc(slices.Clone(want), func(r events.Ref) bool {
		ev := slices.Collect(fetchAll(t, log, r))[0]
		return ev.Host == "" || events.PartitionOf(ev.Host, log.Facts().Partitions) != p || r.Revision.Number <= from.Number || r.Revision.Number > to.Number
	})
	if !slices.Equal(got, expected) || len(got) == 0 {
		t.Errorf("got %d refs, want %d", len(got), len(expected))
	}
	if refs, _, err := log.List(t.Context(), events.Listing{Upto: events.Revision{Epoch: 1, Cluster: 2, Number: 3}, Limit: 1}); err == nil {
		t.Errorf("a position of another log lists %d refs", len(refs))
	}
}

func fetchAll(t *testing.T, log *eventlog.Log, refs ...events.Ref) func(func(events.Event) bool) {
	return func(yield func(events.Event) bool) {
		for ev, err := range log.Fetch(t.Context(), refs) {
			if err != nil {
				t.Fatal(err)
			}
			if !yield(ev) {
				return
			}
		}
	}
}

func TestFetchReturnsEventsInTheOrderOfTheirRefs(t *testing.T) {
	log, want := listedLog(t)
	slices.Reverse(want)
	gone := events.Ref{Key: want[3].Key + "x", Revision: want[3].Revision}
	i, damaged := 0, 0
	for ev := range fetchAll(t, log, slices.Insert(slices.Clone(want), 4, gone)...) {
		if got := (events.Ref{Key: ev.Key, Revision: ev.Revision}); got != want[i] {
			t.Fatalf("event %d is %v, want %v", i, got, want[i])
		}
		if ev.Damage != nil {
			damaged++
		}
		i++
	}
	if i != len(want) || damaged != 1 {
		t.Errorf("fetched %d events, %d damaged; want %d, 1", i, damaged, len(want))
	}
}

func TestGetReturnsEventsOfTheLogOnly(t *testing.T) {
	log, want := listedLog(t)
	ev, found, err := log.Get(t.Context(), want[5].Key)
	if err != nil || !found || ev.Key != want[5].Key || ev.Revision != want[5].Revision || ev.Damage != nil || ev.Records() == 0 {
		t.Errorf("got %+v, %v, %v; want the event %v", ev, found, err, want[5])
	}
	root, _, _ := strings.Cut(want[5].Key, "/queue/")
	for _, key := range []string{want[5].Key + "0", "", root + "/config/" + eventlog.DefaultClusterID} {
		if ev, found, err := log.Get(t.Context(), key); found || err != nil {
			t.Errorf("key %q returns %+v, %v", key, ev, err)
		}
	}
}
