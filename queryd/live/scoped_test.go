package live_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// scopeOf parses a scope.
func scopeOf(t testing.TB, text string) access.Scope {
	t.Helper()
	scope, err := access.ParseScope(text)
	if err != nil {
		t.Fatal(err)
	}
	return scope
}

// feedIn returns the hub's feed of a scope.
func (r *rig) feedIn(text string) *live.Feed {
	r.Helper()
	feed, err := r.hub.In(scopeOf(r, text))
	if err != nil {
		r.Fatalf("the feed of scope %s: %v", text, err)
	}
	return feed
}

// twin is a rig with a second hub, which only ever receives the hosts of a scope, at the same positions.
type twin struct {
	*rig
	rand   *rand.Rand
	scope  access.Scope
	source *livetest.Source
	only   *live.Hub
	active projections.Generation
	next   int
}

// TestScopeIsAFleetOfItsHosts compares the feed of a scope with a hub that only ever received the hosts of the scope: they
// have the same States and send the same messages through any changes.
func TestScopeIsAFleetOfItsHosts(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, live.Config{Heartbeat: time.Hour, Ring: 30}, func(r *rig) {
				w := &twin{rig: r, rand: rand.New(rand.NewPCG(seed, 3)), scope: scopeOf(t, []string{"host=h*", "host=h1,host=g2", "host=none"}[seed%3]), source: livetest.New(livetest.Facts()), active: g1}
				w.run()
			})
		})
	}
}

func (w *twin) run() {
	w.only = w.follow(w.source)
	for range w.rand.IntN(5) {
		w.report()
	}
	early := w.rand.IntN(2) == 0
	if early {
		w.feed()
	}
	w.source.Activate(g1)
	w.start()
	w.same()
	pairs := []*pair{w.pair(live.Options{Snapshot: true}), w.pair(live.Options{Mode: live.EventsMode}),
		w.pair(live.Options{Snapshot: true, Hz: 0.5, Filter: live.Filter{GPUs: []events.GPUID{"h1:1", "GPU-2", "g2:3"}}})}
	for i := range 150 {
		w.step(pairs)
		synctest.Wait()
		if i%5 == 0 {
			w.same()
		}
		for _, p := range pairs {
			p.same()
		}
	}
}

// follow runs a hub on a source until the bubble ends.
func (w *twin) follow(source *livetest.Source) *live.Hub {
	hub, err := live.New(live.Config{Heartbeat: time.Hour, Ring: 30}, source, nil, livetest.Facts(), nil)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(ctx) }()
	w.Cleanup(func() { cancel(); <-done })
	return hub
}

func (w *twin) feed() *live.Feed {
	feed, err := w.hub.In(w.scope)
	if err != nil {
		w.Fatal(err)
	}
	return feed
}

// store stores a change of hosts. The twin receives its part of it.
func (w *twin) store(g projections.Generation, hosts ...projections.Stored) {
	w.src.Store(g, hosts...)
	w.source.Store(g, slices.DeleteFunc(slices.Clone(hosts), func(s projections.Stored) bool { return !w.scope.HasHost(s.Host) })...)
}

func (w *twin) report() {
	host := events.HostID([]string{"h1", "h2", "h3", "g1", "g2"}[w.rand.IntN(5)])
	if w.rand.IntN(4) == 0 { // long enough for a GPU to have moved
		w.clock += events.Timestamp(w.rand.Int64N(int64(90 * time.Minute)))
	}
	var all []livetest.Reading
	for range 1 + w.rand.IntN(3) {
		w.clock++
		n := w.rand.IntN(6)
		reading := livetest.Reading{Host: host, UUID: fmt.Sprintf("GPU-%d", n), Index: n, Metric: []string{util, temp}[w.rand.IntN(2)],
			At: w.clock + events.Timestamp(w.rand.IntN(2)*w.rand.IntN(50)), Appended: w.clock, Value: w.rand.Int64N(3), Model: fmt.Sprint("m", n%2)}
		if w.rand.IntN(5) == 0 {
			reading.Index = w.rand.IntN(6)
		}
		if w.rand.IntN(5) == 0 {
			reading.UUID = ""
		}
		if w.rand.IntN(4) == 0 {
			reading.Part = fmt.Sprintf("mig:%d", w.rand.IntN(3))
		}
		all = append(all, reading)
	}
	w.store(w.active, w.fleet.Report(all...))
}

func (w *twin) step(pairs []*pair) {
	hosts := w.fleet.Hosts()
	switch n := w.rand.IntN(100); {
	case n < 50 || len(hosts) == 0:
		w.report()
	case n < 56:
		w.store(w.active, w.fleet.Remove(hosts[w.rand.IntN(len(hosts))]))
	case n < 60:
		w.switchGeneration(hosts)
	case n < 64:
		err := []error{events.ErrCompacted, events.ErrOverflow}[w.rand.IntN(2)]
		w.src.Break(err)
		w.source.Break(err)
		time.Sleep(time.Minute)
	case n < 68:
		at := w.rand.Int64N(1000)
		w.src.Fold(w.active, at)
		w.source.Fold(w.active, at)
	case n < 72:
		host := hosts[w.rand.IntN(len(hosts))]
		u := projections.Unreadable{Key: "live/" + string(host), Kind: "live", Host: host, Err: errDown}
		w.src.Spoil(w.active, u)
		if w.scope.HasHost(host) {
			w.source.Spoil(w.active, u)
		} else {
			w.source.Store(w.active)
		}
	case n < 80:
		pairs[w.rand.IntN(len(pairs))].reconnect()
	default:
		time.Sleep(time.Duration(w.rand.IntN(3000)) * time.Millisecond)
	}
}

func (w *twin) switchGeneration(hosts []events.HostID) {
	w.next++
	next := projections.Generation(fmt.Sprint("s", w.next))
	for _, h := range hosts {
		if w.rand.IntN(5) == 0 {
			w.fleet.Remove(h)
			continue
		}
		w.store(next, w.fleet.Stored(h))
	}
	for p := range events.Partition(4) { // as far as any before
		w.src.Offset(next, p, 2000, 2000)
		w.source.Offset(next, p, 2000, 2000)
	}
	w.active = next
	w.src.Activate(next)
	w.source.Activate(next)
	time.Sleep(time.Minute)
}

// same compares the States and what Incomplete says.
func (w *twin) same() {
	w.Helper()
	got, want := w.feed(), w.only
	if diff := cmp.Diff(describe(want.State()), describe(got.State()), cmpopts.EquateEmpty()); diff != "" {
		w.Fatalf("State of the scope (-only its hosts +scope):\n%s", diff)
	}
	if diff := cmp.Diff(fmt.Sprint(want.Incomplete()), fmt.Sprint(got.Incomplete())); diff != "" {
		w.Fatalf("Incomplete (-only its hosts +scope):\n%s", diff)
	}
}

// describe returns everything that a State says.
func describe(s *live.State) map[string]any {
	now := events.Timestamp(1 << 50)
	active, stale := s.HostStatuses(now)
	out := map[string]any{
		"at": s.At(), "generation": s.Generation(), "folded": s.Folded(), "gpus": s.GPUs(), "hosts": hostsOf(s), "totals": s.Totals(now),
		"models": s.Models(), "drivers": s.Drivers(), "counts": []int{s.CountHosts(), s.CountGPUs(), active, stale},
	}
	for _, h := range s.AllHosts() {
		out["host "+string(h.ID)] = []any{h.Host, h.Partition, h.FirstSeen, h.LastSeen}
	}
	for _, host := range []events.HostID{"h1", "g1", "g2"} {
		_, there := s.AnyHost(host)
		out["known "+string(host)] = []any{there, s.HostSeen(host)}
	}
	for _, name := range []events.GPUID{"GPU-1", "GPU-3", "h1:1", "g2:GPU-2", "g1:0"} {
		g, _ := s.GPU(name)
		out["named "+string(name)] = []any{g, s.NamedGPUs(name), s.HostsNaming(name), s.KnownOn(name)}
	}
	return out
}

// pair is a subscription to the feed of the scope, and one to the twin.
type pair struct {
	*twin
	options           live.Options
	mine, want        *live.Subscription
	mineFrom, onlFrom live.Token
}

func (w *twin) pair(o live.Options) *pair {
	p := &pair{twin: w, options: o}
	p.connect()
	return p
}

func (p *pair) connect() {
	var err error
	o := p.options
	o.From = p.mineFrom
	if p.mine, err = p.feed().Subscribe(o); err != nil {
		p.Fatal(err)
	}
	o.From = p.onlFrom
	if p.want, err = p.only.Subscribe(o); err != nil {
		p.Fatal(err)
	}
}

func (p *pair) reconnect() {
	p.mine.Close()
	p.want.Close()
	if p.rand.IntN(4) == 0 {
		p.mineFrom, p.onlFrom = "", ""
	}
	p.connect()
}

// same compares the messages that are there now.
func (p *pair) same() {
	p.Helper()
	got, want := withoutHeartbeats(p.all(p.mine)), withoutHeartbeats(p.all(p.want))
	for _, m := range got {
		if m.Token != "" {
			p.mineFrom = m.Token
		}
	}
	for _, m := range want {
		if m.Token != "" {
			p.onlFrom = m.Token
		}
	}
	unlike := cmpopts.IgnoreFields(live.Message{}, "Token", "AsOf", "Time")
	if diff := cmp.Diff(want, got, unlike, cmpopts.IgnoreUnexported(live.Message{}), cmpopts.EquateEmpty()); diff != "" {
		p.Fatalf("messages (-only its hosts +scope):\n%s", diff)
	}
}

func withoutHeartbeats(all []*live.Message) []*live.Message {
	return slices.DeleteFunc(all, func(m *live.Message) bool { return m.Kind == live.Heartbeat })
}

func TestScopeHearsNothingOfOtherHosts(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("g1", "GPU-b", 0, 1)
		r.start()
		feed := r.feedIn("host=h*")
		if feed != r.feedIn("host=h*") || feed == r.feedIn("host=h1") {
			t.Error("equal scopes have one feed, others have their own")
		}
		wake := make([]*live.Subscription, 0, 2)
		for _, mode := range bothModes {
			sub, err := feed.Subscribe(live.Options{Mode: mode, Snapshot: true})
			if err != nil {
				t.Fatal(err)
			}
			r.expect(sub, "snap h1/GPU-a:UTIL=1", "synced")
			wake = append(wake, sub)
		}
		published := feed.State().At()
		r.set("g1", "GPU-b", 0, 2)
		r.set("g2", "GPU-a", 0, 3) // a GPU that the scope has, too
		r.src.Store(g1, r.fleet.Remove("g1"))
		synctest.Wait()
		for _, sub := range wake {
			ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
			if m, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("changes of other hosts: %v, %v; want nothing", m, err)
			}
			cancel()
		}
		if now := feed.State().At(); now.Number <= published.Number {
			t.Error("the position stays where it was; waits would never end")
		}
		r.set("h2", "GPU-c", 0, 1)
		for _, sub := range wake {
			r.expect(sub, "upd h2/GPU-c:UTIL=1")
		}
	})
}

func TestTokensDoNotCrossScopes(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("g1", "GPU-b", 0, 1)
		r.start()
		whole, wide, narrow := r.hub.Feed, r.feedIn("host=h*,host=g1"), r.feedIn("host=h1")
		tokens := map[string]live.Token{"whole": whole.State().Token(), "wide": wide.State().Token(), "narrow": narrow.State().Token()}
		r.set("h1", "GPU-a", 0, 2)
		synctest.Wait()
		for name, token := range tokens {
			for _, mode := range bothModes {
				for to, feed := range map[string]*live.Feed{"whole": whole, "wide": wide, "narrow": narrow} {
					sub, err := feed.Subscribe(live.Options{From: token, Mode: mode})
					if err != nil {
						t.Fatal(err)
					}
					got := brief(r.all(sub))
					if name == to && got != "upd h1/GPU-a:UTIL=2 | synced resumed" || name != to && !strings.HasPrefix(got, "reset generation | snap") {
						t.Errorf("%s from a token of %s: %s", to, name, got)
					}
					if to == "narrow" && strings.Contains(got, "g1") {
						t.Errorf("the narrow scope sees %s", got)
					}
				}
			}
		}
	})
}

func TestWaitInAScope(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("g1", "GPU-b", 0, 1)
		r.start()
		feed := r.feedIn("host=h*")
		at := feed.State().At()
		at.Number = 10
		waited := make(chan error, 1)
		go func() {
			s, err := feed.Wait(r.Context(), at)
			if err == nil && (s.Folded().Number < 10 || len(s.GPUs()) > 0) {
				err = fmt.Errorf("folded %d, GPUs %v", s.Folded().Number, s.GPUs())
			}
			waited <- err
		}()
		synctest.Wait()
		if len(waited) > 0 {
			t.Fatal("Wait returned before the position was folded")
		}
		r.src.Fold(g1, 10)
		if err := <-waited; err != nil {
			t.Error(err)
		}
	})
}

func TestScopesAreBoundedAndEnd(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Minute}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		first := r.feedIn("host=h0")
		sub, err := first.Subscribe(live.Options{})
		if err != nil {
			t.Fatal(err)
		}
		second := r.feedIn("host=h1")
		for i := 2; i < 64; i++ {
			time.Sleep(time.Second)
			r.feedIn(fmt.Sprint("host=h", i))
		}
		r.feedIn("host=one-more") // takes the place of the feed that was not used for longest
		if _, err := second.Subscribe(live.Options{}); !errors.Is(err, live.ErrClosed) || r.feedIn("host=h0") != first {
			t.Errorf("the 65th scope: the oldest unused feed is still there (%v), or one with a subscription is not", err)
		}
		var all []*live.Subscription
		for i := range 64 {
			sub, err := r.feedIn(fmt.Sprint("host=h", i)).Subscribe(live.Options{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, sub)
		}
		if _, err := r.hub.In(scopeOf(t, "host=one-more")); !errors.Is(err, live.ErrTooManyScopes) {
			t.Errorf("the 65th scope with subscribers: %v, want ErrTooManyScopes", err)
		}
		r.feedIn("") // probes of nobody are answered
		for _, sub := range all {
			sub.Close()
		}
		time.Sleep(11 * time.Minute)
		if r.feedIn("host=h0") != first {
			t.Error("a feed with a subscription was replaced")
		}
		sub.Close()
		time.Sleep(12 * time.Minute)
		if _, err := first.Subscribe(live.Options{}); !errors.Is(err, live.ErrClosed) {
			t.Errorf("subscribing to a feed that ended: %v, want ErrClosed", err)
		}
		if again := r.feedIn("host=h0"); again == first || again.Ready() != nil {
			t.Error("the scope has no new feed that is complete")
		}
	})
}

func TestDegradedScopeNamesNoHost(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: time.Hour}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.set("g1", "GPU-b", 0, 1)
		r.start()
		feed := r.feedIn("host=h1")
		r.src.Spoil(g1, projections.Unreadable{Key: "live/g1", Kind: "live", Host: "g1", Err: errDown})
		r.src.Spoil(g1, projections.Unreadable{Key: "?", Err: errors.New("g1")})
		synctest.Wait()
		if r.hub.Incomplete() == nil || feed.Incomplete() != nil {
			t.Errorf("whole %v, scope %v; want only the whole incomplete", r.hub.Incomplete(), feed.Incomplete())
		}
		r.src.Store(g2)
		r.src.Spoil(g2, projections.Unreadable{Key: "live/g1", Kind: "live", Host: "g1", Err: errDown})
		r.src.Activate(g2)
		synctest.Wait()
		if err := r.hub.Degraded(); err == nil || !strings.Contains(err.Error(), "g1") {
			t.Fatalf("degraded %v, want g1 named", err)
		}
		if err := feed.Degraded(); !errors.Is(err, live.ErrBehind) || strings.Contains(err.Error(), "g1") {
			t.Errorf("degraded in the scope: %v, want ErrBehind alone", err)
		}
		for _, text := range []string{"", "namespace=*", "host=h1,namespace=ml"} { // no workload is there
			if s := r.feedIn(text).State(); len(s.AllHosts())+len(s.GPUs()) > 0 {
				t.Errorf("scope %q has hosts", text)
			}
		}
	})
}

// The feeds of all scopes are folded as far as the log, also where partitions have no events.
func TestScopesFollowTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, src := &logOf{head: 40, partition: 2, event: 30}, livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		early, err := hub.In(scopeOf(t, "host=a"))
		if err != nil || early.Ready() == nil {
			t.Fatalf("before the load: %v, ready %v", err, early.Ready())
		}
		src.Activate(g1)
		synctest.Wait()
		waited := make(chan error, 1)
		go func() { _, err := early.Wait(ctx, log.revision(30)); waited <- err }()
		synctest.Wait()
		src.Offset(g1, 2, 30, 30)
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		if err := early.WaitEach(ctx, map[events.Partition]events.Revision{2: log.revision(30)}); err != nil {
			t.Error(err)
		}
		late, err := hub.In(scopeOf(t, "host=b"))
		if err != nil {
			t.Fatal(err)
		}
		for name, feed := range map[string]*live.Feed{"early": early, "late": late} {
			if got, want := feed.State().Folded(), hub.State().Folded(); got != want || feed.Ready() != nil {
				t.Errorf("%s: folded %s, ready %v; want %s", name, got, feed.Ready(), want)
			}
		}
		src.Activate(g2) // it is behind: nothing changes
		src.Fold(g2, 50)
		time.Sleep(time.Minute)
		for name, feed := range map[string]*live.Feed{"early": early, "late": late} {
			if got, want := feed.State().Folded(), hub.State().Folded(); got != want || feed.State().Generation() != g2 {
				t.Errorf("%s: folded %s of %s; want %s", name, got, feed.State().Generation(), want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := early.Subscribe(live.Options{}); !errors.Is(err, live.ErrClosed) {
			t.Errorf("subscribing after the end: %v, want ErrClosed", err)
		}
		if after, err := hub.In(scopeOf(t, "host=c")); err != nil {
			t.Error(err)
		} else if _, err := after.Subscribe(live.Options{}); !errors.Is(err, live.ErrClosed) {
			t.Errorf("subscribing to a new scope after the end: %v, want ErrClosed", err)
		}
	})
}

// Feeds are asked for while changes come; with -race this finds data that is shared without a lock.
func TestScopesAreSafeForConcurrentUse(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 10 * time.Millisecond}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		done := make(chan struct{})
		for n := range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				for i := range 50 {
					scope, err := access.ParseScope(fmt.Sprintf("host=h%d,host=x%d", n%2+1, i%5))
					if err != nil {
						t.Error(err)
						return
					}
					feed, err := r.hub.In(scope)
					if err != nil {
						t.Error(err)
						return
					}
					sub, err := feed.Subscribe(live.Options{Snapshot: true})
					if err != nil {
						t.Error(err)
						return
					}
					for range 3 {
						if _, err := sub.Poll(); err != nil {
							t.Error(err)
						}
					}
					_ = feed.State().Totals(1000)
					sub.Close()
					time.Sleep(time.Millisecond)
				}
			}()
		}
		for i := range 100 {
			r.set(events.HostID(fmt.Sprint("h", i%3)), "GPU-a", 0, int64(i))
			time.Sleep(time.Millisecond)
		}
		for range 4 {
			<-done
		}
	})
}
