package foreign

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
)

// Taker takes foreign keys in. Safe for concurrent use.
type Taker struct {
	log    *eventlog.Log
	poll   time.Duration
	lg     *slog.Logger
	counts statusCounter
}

// New returns a taker and starts nothing. poll is the interval of lists while there is no watch.
func New(log *eventlog.Log, poll time.Duration, lg *slog.Logger) *Taker {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Taker{log: log, poll: poll, lg: lg}
}

const (
	// leastPause is the least pause between two lists, so that keys that come one by one are taken together.
	leastPause = 20 * time.Millisecond
	// pollsPerList is the number of polls between two lists while there is no signal: the watch does not report every
	// key (eventlog.Log.WatchForeign).
	pollsPerList = 10
	// longestPause bounds the pause between two attempts.
	longestPause = time.Minute
)

// Run takes in present and new keys until ctx ends or guard does not hold any more.
func (t *Taker) Run(ctx context.Context, guard clientv3.Cmp) {
	t.counts.addLeader(1)
	defer t.counts.addLeader(-1)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := wait.NewSignal()
	wg.Go(func() { t.watchKeys(ctx, changed) })

	run := &takerRun{Taker: t, guard: guard}
	for pause := (wait.Backoff{Least: t.poll, Most: longestPause}); ctx.Err() == nil; {
		err := run.takeAllKeys(ctx)
		switch {
		case errors.Is(err, eventlog.ErrFenced):
			t.lg.Info("stopped taking foreign keys: the claim is lost", "err", err)
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			again := pause.Next()
			t.reportFailure(err, again)
			wait.Sleep(ctx, again)
		default:
			pause.Reset()
			wait.Sleep(ctx, leastPause)
			awaitSignal(ctx, changed, pollsPerList*t.poll)
		}
	}
}

// reportFailure logs and counts a failure.
func (t *Taker) reportFailure(err error, again time.Duration) {
	t.lg.Warn("taking foreign keys failed; trying again", "err", err, "again_in", again)
	now := time.Now().UTC()
	t.counts.updateStatus(func(s *Status) {
		s.Failures++
		s.Error, s.ErrorAt = err.Error(), &now
	})
}

// watchKeys sets the signal when there may be something to list, and at the interval of polls while there is no
// watch.
//
// Other followers read up to now and then watch. Here the lists of Run go on beside the watch: they find keys that no
// watch reports, their rate is bounded however often the signal is set, and a watch that cannot be set up must not
// delay them. So this loop has nothing to catch up with: it keeps the watch, and sets the signal when the watch is
// set up and when it fails.
func (t *Taker) watchKeys(ctx context.Context, changed wait.Signal) {
	loop := follow.Loop{
		Watch: func(ctx context.Context, delivered func()) error {
			return t.log.WatchForeign(ctx, func() {
				delivered()
				changed.Set()
			})
		},
		Pause:         wait.Fixed(t.poll),
		IgnoreForeign: true, // the lists of Run report it
		Failed: func(err error, _ time.Duration) {
			t.lg.Debug("the watch for foreign keys ended; listing until there is another", "err", err)
			changed.Set()
		},
	}
	_ = loop.Run(ctx) // nothing ends it but ctx
}

// awaitSignal waits for the signal, for d, or until ctx ends.
func awaitSignal(ctx context.Context, changed wait.Signal, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed.C():
	case <-timer.C:
	}
}
