package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// filledLog returns a log with events of many hosts, two uploads and some damage, and these events, oldest first.
func filledLog(t *testing.T) (*eventlog.Log, []events.Event) {
	t.Helper()
	cfg := eventstest.Config(t)
	log := eventstest.OpenLog(t, cfg)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		var evs []events.Event
		for k := range 1 + r.IntN(12) {
			ev := eventstest.Event(events.HostID(fmt.Sprintf("host-%d", k)), i)
			ev.Upload = events.UploadID(fmt.Sprintf("upload-%d", i%2))
			evs = append(evs, ev)
		}
		if _, err := log.Append(t.Context(), evs); err != nil {
			t.Fatal(err)
		}
		if i == 30 {
			key := cfg.Root + "/" + events.PartitionPrefix(eventlog.DefaultClusterID, 9) + "garbage"
			if _, err := eventstest.Etcd(t).Put(t.Context(), key, "\xff"); err != nil {
				t.Fatal(err)
			}
		}
	}
	var all []events.Event
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range log.Facts().Partitions {
		for ev, err := range log.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, ev)
		}
	}
	slices.SortFunc(all, func(a, b events.Event) int {
		return events.Ref{Key: a.Key, Revision: a.Revision}.Compare(events.Ref{Key: b.Key, Revision: b.Revision})
	})
	return log, all
}

// walkPages returns the keys on all pages of a query.
func walkPages(t *testing.T, j *Journal, q Query) []string {
	t.Helper()
	var keys []string
	for {
		page, err := j.Events(t.Context(), access.Everything(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if len(page.Events) > q.Limit {
			t.Fatalf("a page of %d events, limit %d", len(page.Events), q.Limit)
		}
		for _, ev := range page.Events {
			keys = append(keys, ev.Key)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return keys
		}
	}
}

func TestPagesOfAnySizeAreTheLog(t *testing.T) {
	log, all := filledLog(t)
	j := New(log)
	gpu := all[0].Identities[0].Entity(all[0].Host).GPU
	cases := map[string]struct {
		query Query
		keep  func(*events.Event) bool
	}{
		"all":       {Query{}, func(*events.Event) bool { return true }},
		"host":      {Query{Hosts: []events.HostID{"host-2"}}, func(e *events.Event) bool { return e.Host == "host-2" }},
		"hosts":     {Query{Hosts: []events.HostID{"host-2", "host-7"}}, func(e *events.Event) bool { return e.Host == "host-2" || e.Host == "host-7" }},
		"gpu":       {Query{GPUs: []events.GPUID{gpu}}, func(e *events.Event) bool { return e.Damage == nil && e.Identities[0].Entity(e.Host).GPU == gpu }},
		"slot":      {Query{GPUs: []events.GPUID{"host-3:0"}}, func(e *events.Event) bool { return e.Host == "host-3" }},
		"upload":    {Query{Uploads: []events.UploadID{"upload-1"}}, func(e *events.Event) bool { return e.Upload == "upload-1" }},
		"damaged":   {Query{Damaged: true}, func(e *events.Event) bool { return e.Damage != nil }},
		"metric":    {Query{Metrics: []string{all[0].Columns[0].Metric}}, func(e *events.Event) bool { return e.Damage == nil }},
		"nothing":   {Query{Metrics: []string{"no_such_metric"}}, func(*events.Event) bool { return false }},
		"partition": {Query{Partition: 9, HasPartition: true}, func(e *events.Event) bool { return e.Damage != nil || events.PartitionOf(e.Host, 64) == 9 }},
		"range": {Query{After: all[40].Revision, Before: all[200].Revision}, func(e *events.Event) bool {
			return e.Revision.Number > all[40].Revision.Number && e.Revision.Number < all[200].Revision.Number
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := range all {
				if c.keep(&all[i]) {
					want = append(want, all[i].Key)
				}
			}
			if name != "nothing" && len(want) == 0 {
				t.Fatal("the case is about no event")
			}
			for _, limit := range []int{1, 7, MaxLimit} {
				if limit == 1 && len(want) > 100 {
					continue
				}
				c.query.Limit, c.query.Oldest = limit, true
				if got := walkPages(t, j, c.query); !slices.Equal(got, want) {
					t.Errorf("limit %d, oldest first: %d events, want %d in order", limit, len(got), len(want))
				}
				c.query.Oldest = false
				got := walkPages(t, j, c.query)
				slices.Reverse(got)
				if !slices.Equal(got, want) {
					t.Errorf("limit %d, newest first: %d events, want %d in order", limit, len(got), len(want))
				}
			}
		})
	}
}

func TestAPageEndsWithItsRecords(t *testing.T) {
	log, all := filledLog(t)
	page, err := New(log).Events(t.Context(), access.Everything(), Query{Limit: 100, Records: 3})
	if err != nil || len(page.Events) != 2 || page.Next == "" {
		t.Errorf("%d events, next %q, %v; want 2 of two records each, and more", len(page.Events), page.Next, err)
	}
	if last := all[len(all)-1]; page.Events[0].Key != last.Key {
		t.Errorf("first is %s, want the newest, %s", page.Events[0].Key, last.Key)
	}
}

func TestCursorsOfOtherQueriesAreRefused(t *testing.T) {
	log, _ := filledLog(t)
	j := New(log)
	page, err := j.Events(t.Context(), access.Everything(), Query{Limit: 3})
	if err != nil || page.Next == "" {
		t.Fatal(err)
	}
	foreign := Query{}
	for name, q := range map[string]Query{
		"another filter": {Limit: 3, Cursor: page.Next, Damaged: true},
		"another order":  {Limit: 3, Cursor: page.Next, Oldest: true},
		"garbage":        {Limit: 3, Cursor: "AAAA"},
		"another log":    {Limit: 3, Cursor: foreign.cursorAfter(access.Everything(), events.Ref{Key: "k", Revision: events.Revision{Epoch: 1, Cluster: 1, Number: 1}})},
	} {
		if _, err := j.Events(t.Context(), access.Everything(), q); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: %v, want ErrCursor", name, err)
		}
	}
	for _, limit := range []int{0, -1, MaxLimit + 1} {
		if _, err := j.Events(t.Context(), access.Everything(), Query{Limit: limit}); !errors.Is(err, ErrLimit) {
			t.Errorf("limit %d: %v, want ErrLimit", limit, err)
		}
	}
	if _, err := j.Events(t.Context(), access.Everything(), Query{Limit: 1, Before: events.Revision{Epoch: 1, Cluster: 2, Number: 3}}); !errors.Is(err, events.ErrForeign) {
		t.Errorf("before a revision of another log: %v, want ErrForeign", err)
	}
}

func FuzzCursor(f *testing.F) {
	q := Query{}
	f.Add(string(q.cursorAfter(access.Everything(), events.Ref{Key: "/telemetry/queue/c/001/x", Revision: events.Revision{Epoch: 7, Cluster: 9, Number: 100}})))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		q := Query{Cursor: Cursor(text)}
		last, err := q.decodeCursor(access.Everything())
		if err == nil && last.Revision.Number < 1 {
			t.Errorf("%q is %v", text, last)
		}
	})
}

// A scope's pages are the pages of a log that never had the events of other hosts, with any page size, and their cursors name
// no other host.
func TestPagesOfAScope(t *testing.T) {
	log, all := filledLog(t)
	j := New(log)
	for _, text := range []string{"host=host-2", "host=host-1,host=host-1?", "host=none", "host=host-2,namespace=ml", ""} {
		scope, err := access.ParseScope(text)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range all {
			if all[i].Damage == nil && scope.HasWholeHost(all[i].Host) {
				want = append(want, all[i].Key)
			}
		}
		if text == "host=host-2" && len(want) == 0 {
			t.Fatal("the case is about no event")
		}
		for _, limit := range []int{1, 7, MaxLimit} {
			q, got := Query{Limit: limit, Oldest: true}, []string(nil)
			for pages := 0; ; pages++ {
				page, err := j.Events(t.Context(), scope, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, ev := range page.Events {
					got = append(got, ev.Key)
				}
				if page.Scanned > limit+1 || page.Next != "" && len(page.Events) < limit {
					t.Errorf("scope %q, limit %d: %d events read for a page of %d with the cursor %q", text, limit, page.Scanned, len(page.Events), page.Next)
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
				if last, err := q.decodeCursor(scope); err != nil || last.Key != got[len(got)-1] {
					t.Errorf("scope %q: the cursor names %q (%v), want the last event of the page", text, last.Key, err)
				}
				if _, err := j.Events(t.Context(), access.Everything(), q); !errors.Is(err, ErrCursor) {
					t.Errorf("a cursor of scope %q without the scope: %v, want ErrCursor", text, err)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("scope %q, limit %d: %d events, want %d in order", text, limit, len(got), len(want))
			}
		}
		if page, err := j.Events(t.Context(), scope, Query{Limit: 10, Damaged: true}); err != nil || len(page.Events) > 0 || page.Next != "" {
			t.Errorf("scope %q sees damaged events: %+v (%v)", text, page, err)
		}
		for _, ev := range all[:20] {
			got, found, err := j.Event(t.Context(), scope, ev.Key)
			if visible := ev.Damage == nil && scope.HasWholeHost(ev.Host); err != nil || found != visible || !visible && got.Key != "" {
				t.Errorf("scope %q, event %s: found %v (%v), want %v", text, ev.Key, found, err, visible)
			}
		}
	}
}

func TestEventsByNamespace(t *testing.T) {
	cfg := eventstest.Config(t)
	log := eventstest.OpenLog(t, cfg)
	namespaces := []string{"web", "ml", "", "ml"}
	var mine []int
	for i := range 40 {
		ev := eventstest.Event(events.HostID(fmt.Sprint("host-", i%3)), i)
		for k := range ev.Identities {
			if ev.Identities[k].Namespace = namespaces[i%4]; i%4 == 1 && k > 0 {
				ev.Identities[k].Namespace = "web"
			}
		}
		if namespaces[i%4] == "ml" {
			mine = append(mine, i)
		}
		if _, err := log.Append(t.Context(), []events.Event{ev}); err != nil {
			t.Fatal(err)
		}
	}
	scope, err := access.ParseScope("namespace=ml")
	if err != nil {
		t.Fatal(err)
	}
	j, count := New(log), 0
	for q := (Query{Limit: 7}); ; {
		page, err := j.Events(t.Context(), scope, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range page.Events {
			count++
			for _, id := range ev.Identities {
				if id.Namespace != "ml" {
					t.Errorf("an identity of namespace %q is shown", id.Namespace)
				}
			}
			for _, c := range ev.Columns {
				if c.Identity >= len(ev.Identities) {
					t.Errorf("a column of identity %d of %d", c.Identity, len(ev.Identities))
				}
			}
			if _, found, err := j.Event(t.Context(), scope, ev.Key); !found || err != nil {
				t.Errorf("event %s by its key: %v (%v)", ev.Key, found, err)
			}
		}
		if len(page.Events) < 7 && page.Next != "" {
			t.Errorf("a page of %d events has the cursor %q", len(page.Events), page.Next)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if count != len(mine) {
		t.Errorf("%d events, want %d", count, len(mine))
	}
	all, err := j.Events(t.Context(), access.Everything(), Query{Limit: 40})
	if err != nil || len(all.Events) != 40 {
		t.Fatalf("%d events (%v)", len(all.Events), err)
	}
	found := 0
	for _, ev := range all.Events {
		if _, there, _ := j.Event(t.Context(), scope, ev.Key); there {
			found++
		}
	}
	if found != len(mine) {
		t.Errorf("%d events by key, want %d", found, len(mine))
	}
}

func TestDamagedEventsBelongToEverything(t *testing.T) {
	scope, err := access.ParseScope("host=host-2")
	if err != nil {
		t.Fatal(err)
	}
	whole, damaged := events.Event{Host: "host-2"}, events.Event{Host: "host-2", Damage: &events.DamageError{}}
	if !cutVisible(scope, &whole) || cutVisible(scope, &damaged) || !cutVisible(access.Everything(), &damaged) {
		t.Error("a damaged event of a host is for everything only")
	}
}

// An event that joins a visible host to one that is not names it.
func TestJoinsToInvisibleHostsAreAbsent(t *testing.T) {
	scope, err := access.ParseScope("host=own-*")
	if err != nil {
		t.Fatal(err)
	}
	for node, want := range map[events.HostID]bool{"own-2": true, "foreign-1": false} {
		ev := events.Join{Node: node, At: 1}.Event("own-1")
		if got := cutVisible(scope, &ev); got != want {
			t.Errorf("a join to %s is visible: %t, want %t", node, got, want)
		}
		if !cutVisible(access.Everything(), &ev) {
			t.Errorf("a join to %s is not visible in the whole scope", node)
		}
	}
}
