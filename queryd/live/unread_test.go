package live_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/live/livetest"
)

// logOf is a log that has one event, in one partition.
type logOf struct {
	partition events.Partition

	mu    sync.Mutex
	head  int64
	event int64         // its revision
	away  chan struct{} // until it is closed, the log does not answer; nil: it does
	err   error         // the error of Head
}

// append replaces the event by one at another revision, in a log that goes up to head.
func (l *logOf) append(head, event int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head, l.event = head, event
}

// fails has the log answer with an error, or not at all until away is closed.
func (l *logOf) fails(away chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away, l.err = away, err
}

func (l *logOf) revision(n int64) events.Revision {
	facts := livetest.Facts()
	return events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: n}
}

func (l *logOf) Head(context.Context) (events.Revision, error) {
	l.mu.Lock()
	away, err := l.away, l.err
	l.mu.Unlock()
	if away != nil {
		<-away
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision(l.head), err
}

func (l *logOf) UnreadPartitions(_ context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, asked := after[l.partition]; asked && at.Number < l.event && l.event <= upto.Number {
		return []events.Partition{l.partition}, nil
	}
	return nil, nil
}

// TestWaitPassesPartitionsThatHaveNoEvents: only the partition with an event ever saves an offset, and a caller that
// waits for that event's revision does not wait for the other partitions.
func TestWaitPassesPartitionsThatHaveNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logOf{head: 40, partition: 2, event: 30}
		src := livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		src.Activate(g1)
		synctest.Wait()

		short, stop := context.WithTimeout(ctx, time.Second)
		if _, err := hub.Wait(short, log.revision(30)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for an event that is not folded: %v, want the deadline", err)
		}
		stop()
		src.Offset(g1, 2, 30, 30)
		state, err := hub.Wait(ctx, log.revision(30))
		if err != nil {
			t.Fatalf("waiting for an event that is folded: %v", err)
		}
		if got := state.Folded().Number; got < 30 {
			t.Errorf("folded up to %d, want at least 30", got)
		}
		time.Sleep(time.Minute) // some heartbeats
		if got := hub.State().Folded().Number; got != 40 {
			t.Errorf("folded up to %d after all partitions caught up, want the head, 40", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestWaitIsForWhatIsFoldedAndNotForThePositionOfTheView: other hosts change all the time, so the view is at a later
// revision than an event that is not folded yet. Wait for that event does not return early.
func TestWaitIsForWhatIsFoldedAndNotForThePositionOfTheView(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		r.start()
		var at events.Revision
		for i := range 50 {
			at = r.set("h", "GPU-1", 0, int64(i))
		}
		synctest.Wait()
		const event = 30
		if got := r.hub.State(); got.At() != at || at.Number <= event || got.Folded().Number >= event {
			r.Fatalf("the view is at %d and folded up to %d, want it at %d and not folded up to %d", got.At().Number, got.Folded().Number, at.Number, event)
		}
		at.Number = event
		short, stop := context.WithTimeout(r.Context(), time.Minute)
		defer stop()
		if _, err := r.hub.Wait(short, at); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("waiting for an event that is not folded: %v, want the deadline", err)
		}
		r.src.Fold(g1, event)
		if _, err := r.hub.Wait(r.Context(), at); err != nil {
			r.Errorf("waiting for an event that is folded: %v", err)
		}
	})
}

// TestWhoWaitsForPartitionsIsNotHeldUpByOthers: an upload is visible once its own partitions are folded in the view,
// not when they are stored, and independent of all other unfolded events.
func TestWhoWaitsForPartitionsIsNotHeldUpByOthers(t *testing.T) {
	inBubble(t, live.Config{}, func(r *rig) {
		r.start()
		at := r.set("h", "GPU-1", 0, 1)
		at.Number = 30
		upto := map[events.Partition]events.Revision{1: at, 2: at}
		for _, folded := range []events.Partition{1, 2} {
			short, stop := context.WithTimeout(r.Context(), time.Minute)
			if err := r.hub.WaitEach(short, upto); !errors.Is(err, context.DeadlineExceeded) {
				r.Errorf("waiting for partition %d, which is not folded: %v, want the deadline", folded, err)
			}
			stop()
			r.src.Offset(g1, folded, 30, 30)
		}
		if err := r.hub.WaitEach(r.Context(), upto); err != nil {
			r.Errorf("waiting for two partitions that are folded: %v", err)
		}
		at.Cluster++
		if err := r.hub.WaitEach(r.Context(), map[events.Partition]events.Revision{1: at}); !errors.Is(err, events.ErrForeign) {
			r.Errorf("waiting for a revision of another log: %v, want ErrForeign", err)
		}
	})
}

// TestQuietLogBeforeTheFirstLoad: that nothing is unread does not make a view that was never loaded current.
func TestQuietLogBeforeTheFirstLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logOf{head: 40}
		src := livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{Heartbeat: time.Second}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		sub, err := hub.Subscribe(live.Options{Snapshot: true, From: hub.State().Token()})
		if err != nil {
			t.Fatal(err)
		}
		short, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		if _, err := hub.Wait(short, log.revision(1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting while nothing is loaded: %v, want the deadline", err)
		}
		if m, err := sub.Poll(); m != nil || err != nil {
			t.Errorf("got %v, %v before the first load, want nothing", m, err)
		}
		src.Activate(g1)
		time.Sleep(time.Minute)
		if m, err := sub.Poll(); err != nil || m == nil || m.Kind != live.Reset {
			t.Errorf("got %v, %v after the first load, want a beginning", m, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestWaitersAreAnsweredSoonAfterEtcdWasAway: the folded position is known again a heartbeat after etcd is back,
// however long it was away.
func TestWaitersAreAnsweredSoonAfterEtcdWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logOf{head: 40, partition: 2, event: 30, away: make(chan struct{})}
		src := livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{Heartbeat: 5 * time.Second}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		src.Activate(g1)
		src.Offset(g1, 2, 10, 10)
		time.Sleep(10 * time.Minute)
		close(log.away)
		synctest.Wait() // the late answer is from before the next event
		log.append(60, 50)
		src.Offset(g1, 2, 50, 50)

		back := time.Now()
		short, stop := context.WithTimeout(ctx, 24*time.Hour)
		defer stop()
		if _, err := hub.Wait(short, log.revision(50)); err != nil {
			t.Errorf("waiting for an event that is folded: %v", err)
		}
		if took := time.Since(back); took > 10*time.Second {
			t.Errorf("who waits for what is folded was answered %s after etcd was back, want two heartbeats at most", took)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestReplacedLogEndsTheHub: when etcd holds another log than at the start, the hub ends at once with a cause, so
// that the process restarts instead of serving a past that is no longer written.
func TestReplacedLogEndsTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logOf{head: 40}
		src := livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{Heartbeat: time.Hour}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- hub.Run(t.Context()) }()
		src.Activate(g1)
		time.Sleep(time.Minute)
		src.Break(events.ErrForeign) // etcd was set back, and holds the same log
		time.Sleep(time.Minute)
		if err := errors.Join(hub.Ready(), hub.Degraded()); err != nil || src.Loads() != 2 {
			t.Errorf("after etcd was set back: %v, %d loads; want a view loaded again", err, src.Loads())
		}
		log.fails(nil, events.ErrForeign)
		src.Break(events.ErrForeign)
		start := time.Now()
		if err := <-done; !errors.Is(err, events.ErrForeign) {
			t.Errorf("Run ended with %v, want ErrForeign", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Run ended after %v, want at once", took)
		}
	})
}

// TestFoldedStaysWhenTheGenerationSwitches: a position reported as folded is folded in the next generation too, also
// where only the log shows that nothing is missing.
func TestFoldedStaysWhenTheGenerationSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logOf{head: 40, partition: 2, event: 30}
		src := livetest.New(livetest.Facts())
		hub, err := live.New(live.Config{Heartbeat: time.Minute}, src, log, livetest.Facts(), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- hub.Run(ctx) }()
		src.Activate(g1)
		src.Offset(g1, 2, 30, 30)
		time.Sleep(time.Hour)
		if got := hub.State().Folded().Number; got != 40 {
			t.Fatalf("folded up to %d, want the head, 40", got)
		}
		away := make(chan struct{})
		log.fails(away, nil)
		src.Offset(g2, 2, 30, 30)
		src.Activate(g2)
		time.Sleep(time.Hour)
		if s := hub.State(); s.Generation() != g2 || s.Folded().Number != 40 {
			t.Errorf("%s is folded up to %d, want g2 up to 40", s.Generation(), s.Folded().Number)
		}
		close(away)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
