package live_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

func (r *rig) report(readings ...livetest.Reading) {
	r.clock += events.Timestamp(time.Second)
	for i := range readings {
		if readings[i].At == 0 {
			readings[i].At = r.clock
		}
	}
	r.src.Store(g1, r.fleet.Report(readings...))
}

func TestNamespaceScope(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.report(
			livetest.Reading{Host: "h1", UUID: "GPU-a", Index: 0, Metric: util, Value: 1, Pod: "mine", Namespace: "ml"},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Index: 0, Metric: temp, Value: 40},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Index: 0, Part: "pid:1", Metric: util, Value: 2, Pod: "other", Namespace: "web"},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Index: 0, Part: "pid:2", Metric: util, Value: 3, Pod: "mine", Namespace: "ml"},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Index: 0, Part: "pid:3", Metric: util, Value: 4},
			livetest.Reading{Host: "h1", UUID: "GPU-a", Index: 0, Part: "link:0", Metric: util, Value: 5},
			livetest.Reading{Host: "h1", UUID: "GPU-b", Index: 1, Metric: util, Value: 6, Pod: "other", Namespace: "web"})
		r.report(livetest.Reading{Host: "h2", UUID: "GPU-c", Index: 0, Metric: util, Value: 7})
		r.start()
		feed := r.feedIn("namespace=ml")
		sub, err := feed.Subscribe(live.Options{Snapshot: true, Mode: live.EventsMode})
		if err != nil {
			t.Fatal(err)
		}
		r.expect(sub, "snap h1/GPU-a:TEMP=40,UTIL=1 h1/GPU-a/link:0:UTIL=5 h1/GPU-a/pid:2:UTIL=3", "synced")
		if text := cmp.Diff(nil, describe(feed.State())); strings.Contains(text, "web") || strings.Contains(text, "other") || strings.Contains(text, "GPU-b") {
			t.Errorf("another workload is named:\n%s", text)
		}
		r.report(livetest.Reading{Host: "h1", UUID: "GPU-b", Index: 1, Metric: util, Value: 8, Pod: "other", Namespace: "web"})
		r.report(livetest.Reading{Host: "h2", UUID: "GPU-c", Index: 0, Metric: util, Value: 9})
		r.expect(sub) // nothing that is visible changed
		r.report(livetest.Reading{Host: "h2", UUID: "GPU-c", Index: 0, Metric: util, Value: 9, Pod: "mine", Namespace: "ml"})
		r.expect(sub, "upd h2/GPU-c:UTIL=9")
		r.report(livetest.Reading{Host: "h2", UUID: "GPU-c", Index: 0, Metric: util, Value: 10, Pod: "other", Namespace: "web"})
		r.expect(sub, "upd -GPU-c") // the workload ended: the GPU and its host are gone
		if hosts := hostsOf(feed.State()); len(hosts) != 1 || len(feed.State().AllHosts()) != 1 {
			t.Errorf("hosts %v, want h1 alone", hosts)
		}
		if both := r.feedIn("host=h2,namespace=ml").State(); len(both.AllHosts()) > 0 {
			t.Error("a host outside of the scope is visible by its namespace")
		}
		if all := r.feedIn("namespace=*").State(); all.CountGPUs() != 3 {
			t.Errorf("any namespace: %d GPUs, want 3", all.CountGPUs())
		}
	})
}

// TestNamespaceScopeSelectsFromEverything compares the States of scopes by namespace with a selection from the State of
// everything, and views that followed with new ones.
func TestNamespaceScopeSelectsFromEverything(t *testing.T) {
	for seed := range uint64(16) {
		inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
			rnd, shared := rand.New(rand.NewPCG(seed, 5)), seed%2 == 1
			r.start()
			feed := r.feedIn("namespace=ml,namespace=x*")
			visible := func(ns string) bool { return ns == "ml" || strings.HasPrefix(ns, "x") }
			sub, err := feed.Subscribe(live.Options{Snapshot: true})
			if err != nil {
				t.Fatal(err)
			}
			knows, named := mirror{}, map[string]events.Timestamp{}
			for range 120 {
				r.clock += events.Timestamp(rnd.Int64N(int64(time.Hour)))
				host, n := rnd.IntN(3), rnd.IntN(4)
				uuid := fmt.Sprintf("GPU-%d-%d", host, n)
				if shared {
					uuid = fmt.Sprint("GPU-", n)
				}
				reading := livetest.Reading{Host: events.HostID(fmt.Sprint("h", host)), UUID: uuid, Index: n, At: r.clock, Appended: r.clock,
					Metric: []string{util, temp}[rnd.IntN(2)], Value: rnd.Int64N(3), Part: []string{"", "", "pid:1", "mig:1", "mig:1,pid:2"}[rnd.IntN(5)],
					Namespace: []string{"", "ml", "web", "x1"}[rnd.IntN(4)]}
				if shared && rnd.IntN(4) == 0 { // several names have workloads of their own
					reading.UUID = "" // by index alone
				}
				if shared && rnd.IntN(4) == 0 {
					reading.Index = rnd.IntN(4)
				}
				if reading.Pod = "pod-" + reading.Namespace; reading.Namespace == "" {
					reading.Pod = ""
				} else {
					named[uuid+reading.Part] = r.clock
				}
				r.src.Store(g1, r.fleet.Report(reading))
				if rnd.IntN(20) == 0 {
					r.src.Store(g1, r.fleet.Remove(reading.Host))
				}
				if rnd.IntN(20) == 0 {
					r.src.Break(events.ErrCompacted)
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				if !shared {
					if diff := cmp.Diff(selectNamespaces(r.hub.State(), visible, named), feed.State().GPUs(), cmpopts.EquateEmpty()); diff != "" {
						t.Fatalf("seed %d: GPUs (-selected +scope):\n%s", seed, diff)
					}
				}
				byHost := r.feedIn("host=h?,namespace=ml,namespace=x*").State() // which selects from a view of its own
				if diff := cmp.Diff(feed.State().GPUs(), byHost.GPUs(), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("seed %d: GPUs by host and namespace (-namespace +both):\n%s", seed, diff)
				}
				for _, s := range []*live.State{byHost, feed.State()} {
					if on := s.OnHosts(); on == s || on.At() != s.At() || on.Scope().ByNamespace() {
						t.Fatalf("seed %d: everything on the hosts of %s is at %s, and the view at %s", seed, s.Scope(), on.At(), s.At())
					}
				}
				text := fmt.Sprintf("%+v", describe(feed.State())) + fmt.Sprintf("%+v", feed.State().GPUs())
				for _, h := range feed.State().AllHosts() {
					if err := h.Check(); err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
				for _, g := range feed.State().GPUs() {
					text += fmt.Sprintf("%+v", *g)
				}
				if strings.Contains(text, "web") {
					t.Fatalf("seed %d: another namespace is named: %s", seed, text)
				}
			}
			time.Sleep(time.Minute)
			for _, m := range r.all(sub) {
				knows.apply(m)
			}
			if diff := cmp.Diff(mirrorOf(feed.State(), live.Filter{}), knows); diff != "" {
				t.Errorf("seed %d: client differs from the view (-view +client):\n%s", seed, diff)
			}
			again := r.another(livetest.Facts())
			if diff := cmp.Diff(again.State().GPUs(), r.hub.State().GPUs(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("seed %d: whole view differs from a fresh one (-fresh +view):\n%s", seed, diff)
			}
			fresh, err := again.In(scopeOf(t, "namespace=ml,namespace=x*"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(describe(fresh.State()), describe(feed.State()), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("seed %d: view differs from a fresh one (-fresh +view):\n%s", seed, diff)
			}
		})
	}
}

// selectNamespaces returns what a scope by namespace shows of a State in which no hosts share a GPU. named has the times of the
// newest records that named a workload, by GPU and part.
func selectNamespaces(s *live.State, visible func(string) bool, named map[string]events.Timestamp) (all []*projections.GPU) {
	for _, g := range s.GPUs() {
		one, uuid := *g, g.Identity.UUID
		one.Parts = nil
		from := events.Timestamp(math.MaxInt64)
		if visible(g.Identity.Namespace) {
			from = named[uuid]
		}
		for _, p := range g.Parts {
			if visible(p.Identity.Namespace) {
				from = min(from, named[uuid+p.Name])
			}
		}
		if from == math.MaxInt64 {
			continue
		}
		ownFrom := from
		if visible(g.Identity.Namespace) {
			ownFrom = named[uuid]
		} else {
			one.Identity.Namespace, one.Identity.Pod = "", ""
		}
		one.Latest = latestFrom(g.Latest, ownFrom)
		one.LastSeen = 0
		for _, l := range one.Latest {
			one.LastSeen = max(one.LastSeen, l.At)
		}
		for _, p := range g.Parts {
			partFrom := from
			switch {
			case visible(p.Identity.Namespace):
				partFrom = named[uuid+p.Name]
			case p.Identity.Namespace != "" || projections.IsProcess(p.Name):
				continue
			}
			if p.Latest = latestFrom(p.Latest, partFrom); len(p.Latest) > 0 {
				one.Parts, one.LastSeen = append(one.Parts, p), max(one.LastSeen, p.LastSeen)
			}
		}
		all = append(all, &one)
	}
	return all
}

// latestFrom returns the readings that are not older than a record by more than the tolerance.
func latestFrom(all []projections.Latest, named events.Timestamp) (some []projections.Latest) {
	for _, l := range all {
		if l.At >= named-events.Timestamp(projections.JoinTolerance) {
			some = append(some, l)
		}
	}
	return some
}
