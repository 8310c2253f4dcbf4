package follow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

var errAway, errDisk = errors.New("etcd is away"), errors.New("disk full")

// script is a Loop with scripted ends that records its calls, each with its second.
type script struct {
	Loop
	began time.Time
	calls []string
}

// end describes one round of the loop.
type end struct {
	catchUp    error
	deliveries int
	watch      error
}

// newScript returns a loop that goes through ends, and then watches until its context ends.
func newScript(ends ...end) *script {
	s := &script{began: time.Now()}
	next := func() *end {
		if len(ends) == 0 {
			return &end{watch: context.Canceled}
		}
		return &ends[0]
	}
	s.Loop = Loop{
		CatchUp: func(context.Context) error {
			s.noteCall("catch up")
			err := next().catchUp
			if err != nil {
				ends = ends[1:]
			}
			return err
		},
		Watch: func(ctx context.Context, delivered func()) error {
			s.noteCall("watch")
			now := next()
			for range now.deliveries {
				delivered()
			}
			if len(ends) == 0 {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			ends = ends[1:]
			return now.watch
		},
		Pause:     wait.Backoff{Least: time.Second, Most: 4 * time.Second, Steady: true},
		Failed:    func(err error, again time.Duration) { s.noteCall(fmt.Sprintf("failed: %v, again in %s", err, again)) },
		Recovered: func() { s.noteCall("recovered") },
	}
	return s
}

func (s *script) noteCall(call string) {
	s.calls = append(s.calls, fmt.Sprintf("%2.0f %s", time.Since(s.began).Seconds(), call))
}

// wantCalls runs the loop for an hour and compares the calls.
func (s *script) wantCalls(t *testing.T, wanted error, calls ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := s.Run(ctx); !errors.Is(err, wanted) || (wanted == nil && err != nil) {
		t.Errorf("Run returned %v, want %v", err, wanted)
	}
	if !slices.Equal(s.calls, calls) {
		t.Errorf("called\n%q, want\n%q", s.calls, calls)
	}
}

func runInBubble(name string, t *testing.T, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestPauseGrowsUntilADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newScript(end{watch: errAway}, end{catchUp: errAway}, end{watch: errAway}, end{catchUp: errAway},
			end{deliveries: 2, watch: errAway}, end{deliveries: 1}).wantCalls(t, nil,
			" 0 catch up", " 0 watch", " 0 failed: etcd is away, again in 1s",
			" 1 catch up", " 1 failed: etcd is away, again in 2s",
			" 3 catch up", " 3 watch", " 3 failed: etcd is away, again in 4s",
			" 7 catch up", " 7 failed: etcd is away, again in 4s",
			"11 catch up", "11 watch", "11 recovered", "11 failed: etcd is away, again in 1s",
			"12 catch up", "12 watch", "12 recovered", "12 failed: the watch ended without an error, again in 1s",
			"13 catch up", "13 watch")
	})
}

func TestOverrunContinuesAtOnceWithoutFailure(t *testing.T) {
	for _, err := range []error{events.ErrCompacted, events.ErrOverflow} {
		runInBubble(err.Error(), t, func(t *testing.T) {
			err := fmt.Errorf("partition 3: %w", err)
			newScript(end{deliveries: 1, watch: err}, end{deliveries: 1, watch: err}, end{watch: err}, end{catchUp: err}).wantCalls(t, nil,
				" 0 catch up", " 0 watch",
				" 0 catch up", " 0 watch",
				" 0 catch up", " 0 watch", // nothing was delivered since, so the loop pauses instead of spinning
				" 1 catch up",
				" 3 catch up", " 3 watch")
		})
	}
}

func TestErrorsThatEndTheLoop(t *testing.T) {
	foreign := fmt.Errorf("partition 3: %w", events.ErrForeign)
	runInBubble("another log", t, func(t *testing.T) {
		newScript(end{watch: foreign}, end{}).wantCalls(t, events.ErrForeign, " 0 catch up", " 0 watch")
	})
	runInBubble("another log is ignored", t, func(t *testing.T) {
		s := newScript(end{catchUp: foreign})
		s.IgnoreForeign = true
		s.wantCalls(t, nil, " 0 catch up", " 0 failed: "+foreign.Error()+", again in 1s", " 1 catch up", " 1 watch")
	})
	runInBubble("marked", t, func(t *testing.T) {
		s := newScript(end{watch: fmt.Errorf("showing: %w", Permanent(errDisk))})
		if err := s.Run(t.Context()); err != errDisk {
			t.Errorf("Run returned %v, want the marked error itself", err)
		}
	})
	runInBubble("marked, of an overrun", t, func(t *testing.T) {
		newScript(end{catchUp: Permanent(events.ErrCompacted)}).wantCalls(t, events.ErrCompacted, " 0 catch up")
	})
	if Permanent(nil) != nil {
		t.Error("End makes an error of none")
	}
}

func TestEndOfContextIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newScript()
		s.CatchUp = func(context.Context) error { cancel(); return Permanent(errAway) }
		if err := s.Run(ctx); err != nil || len(s.calls) > 0 {
			t.Errorf("Run returned %v and called %q after the end of its context", err, s.calls)
		}
	})
}

func TestWithoutCatchingUpAndListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(end{watch: errAway}, end{deliveries: 1, watch: errAway})
		s.CatchUp, s.Failed, s.Recovered = nil, nil, nil
		s.wantCalls(t, nil, " 0 watch", " 1 watch", " 2 watch")
	})
}
