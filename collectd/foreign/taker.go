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
	counts counts
}

// New makes a taker, which starts nothing. poll is the pace of lists while a watch cannot be had.
func New(log *eventlog.Log, poll time.Duration, lg *slog.Logger) *Taker {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Taker{log: log, poll: poll, lg: lg}
}

const (
	// gather is the least pause between two lists, so that keys that come one by one are taken by the handful.
	gather = 20 * time.Millisecond
	// looks is the number of polls between two lists while the bell is silent: the watch does not report every key
	// (eventlog.Log.WatchForeign).
	looks = 10
	// longestPause is between two tries.
	longestPause = time.Minute
)

// Run takes in what there is and what comes until ctx ends or guard does not hold any more.
func (t *Taker) Run(ctx context.Context, guard clientv3.Cmp) {
	t.counts.lead(1)
	defer t.counts.lead(-1)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	bell := wait.NewSignal()
	wg.Go(func() { t.listen(ctx, bell) })

	tenure := &tenure{Taker: t, guard: guard}
	for pause := (wait.Backoff{Least: t.poll, Most: longestPause}); ctx.Err() == nil; {
		err := tenure.pass(ctx)
		switch {
		case errors.Is(err, eventlog.ErrFenced):
			t.lg.Info("stopped taking foreign keys: the claim is lost", "err", err)
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			again := pause.Next()
			t.failed(err, again)
			wait.Sleep(ctx, again)
		default:
			pause.Reset()
			wait.Sleep(ctx, gather)
			awaitBell(ctx, bell, looks*t.poll)
		}
	}
}

// failed logs and counts a failure.
func (t *Taker) failed(err error, again time.Duration) {
	t.lg.Warn("taking foreign keys failed; trying again", "err", err, "again_in", again)
	now := time.Now().UTC()
	t.counts.change(func(s *Status) {
		s.Failures++
		s.Error, s.ErrorAt = err.Error(), &now
	})
}

// listen rings the bell when there may be something to list, and at the pace of polls while there is no watch.
//
// Other followers read up to now and then watch. Here the lists of Run go on beside the watch: they find keys of which no
// watch reports, their pace is bounded however often the bell rings, and a watch that cannot be had must not delay them.
// So this loop has nothing to catch up with: it keeps the watch, which rings when it is set up, and rings when that fails.
func (t *Taker) listen(ctx context.Context, bell wait.Signal) {
	loop := follow.Loop{
		Watch: func(ctx context.Context, delivered func()) error {
			return t.log.WatchForeign(ctx, func() {
				delivered()
				bell.Set()
			})
		},
		Pause:         wait.Fixed(t.poll),
		IgnoreForeign: true, // the lists of Run report it
		Failed: func(err error, _ time.Duration) {
			t.lg.Debug("the watch for foreign keys ended; listing until there is another", "err", err)
			bell.Set()
		},
	}
	_ = loop.Run(ctx) // nothing ends it but ctx
}

// awaitBell waits for the bell, for d, or until ctx ends.
func awaitBell(ctx context.Context, bell wait.Signal, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-bell.C():
	case <-timer.C:
	}
}
