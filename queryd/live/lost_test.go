package live_test

import (
	"context"
	"encoding/base64"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// TestAPositionThatEtcdLostIsNotWaitedForForEver: after a restore clients come with positions that the log
// has not reached again.
func TestAPositionThatEtcdLostIsNotWaitedForForEver(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 5 * time.Second}, func(r *rig) {
		r.start()
		r.set("h1", "GPU-a", 0, 1)
		facts := livetest.Facts()
		future := events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 99_999}
		token := live.Token(base64.RawURLEncoding.EncodeToString([]byte(future.String() + " " + string(g1))))
		for _, mode := range []live.Mode{live.LatestMode, live.EventsMode} {
			sub := r.subscribe(live.Options{From: token, Mode: mode})
			r.expect(sub, "synced resumed")
			var got []*live.Message
			known := mirror{}
			for range 6 {
				time.Sleep(5 * time.Second)
				r.set("h1", "GPU-a", 0, 2)
				for _, m := range r.all(sub) {
					got = append(got, m)
					known.apply(m)
				}
			}
			resets := 0
			for _, m := range got {
				if m.Kind == live.Reset {
					resets++
					if m.Reason != live.ResetEpoch {
						t.Errorf("%s: reset for %q, want %q", mode, m.Reason, live.ResetEpoch)
					}
				}
			}
			if resets != 1 {
				t.Errorf("%s: %d resets in half a minute, want one: %s", mode, resets, brief(got))
			}
			r.sameAsView(known, live.Filter{})
			sub.Close()
		}
	})
}

// TestAServerCutOffFromEtcdTakesNobodyBack: a reader from a server that is further ahead keeps its state, however
// long this one is cut off from etcd, and receives the rest when it is not.
func TestAServerCutOffFromEtcdTakesNobodyBack(t *testing.T) {
	inBubble(t, live.Config{Heartbeat: 5 * time.Second}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		r.src.Fail(errDown)
		synctest.Wait()
		r.set("h1", "GPU-a", 0, 2)
		r.src.Fail(nil)
		ahead := r.another(livetest.Facts())
		r.src.Fail(errDown)
		token := ahead.State().Token()
		for _, mode := range []live.Mode{live.LatestMode, live.EventsMode} {
			r.src.Fail(errDown)
			sub := r.subscribe(live.Options{From: token, Mode: mode})
			r.expect(sub, "synced resumed")
			for range 20 {
				time.Sleep(5 * time.Second)
				for _, m := range r.all(sub) {
					if m.Kind != live.Heartbeat {
						t.Errorf("%s: %s while the server hears nothing of etcd, want heartbeats", mode, brief([]*live.Message{m}))
					}
				}
			}
			sub.Close()
		}
	})
}

// setBack is a source whose etcd was set back: it loads an earlier position.
type setBack struct {
	*livetest.Source
	by atomic.Int64
}

func (s *setBack) Load(ctx context.Context, g projections.Generation) (projections.Batch, error) {
	b, err := s.Source.Load(ctx, g)
	b.At.Number -= s.by.Load()
	return b, err
}

func (s *setBack) Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error] {
	after.Number += s.by.Load() // nothing is written
	return s.Source.Watch(ctx, g, after)
}

// TestPositionsDoNotGoBackWithEtcd: etcd was restored from a snapshot under a server, which continues under the same
// epoch until it learns of that. No reader receives a position before its last one.
func TestPositionsDoNotGoBackWithEtcd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &setBack{Source: livetest.New(livetest.Facts())}
		hub, err := live.New(live.Config{Heartbeat: time.Second}, src, nil, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		src.Activate(g1)
		for n := range int64(20) {
			src.Fold(g1, n)
		}
		synctest.Wait()
		at, loads := hub.State().At().Number, src.Loads()
		sub, err := hub.Subscribe(live.Options{Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		src.by.Store(10)
		src.Break(events.ErrForeign)
		time.Sleep(time.Minute)
		if src.Loads() == loads {
			t.Error("the view was not loaded again")
		}
		if got := hub.State().At().Number; got < at {
			t.Errorf("the view is at %d, and was at %d", got, at)
		}
		for m, err := sub.Poll(); m != nil; m, err = sub.Poll() {
			if err != nil || m.At.Number < at {
				t.Errorf("%s at %d, %v; the view was at %d before", m.Kind, m.At.Number, err, at)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
