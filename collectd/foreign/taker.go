package foreign

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
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
	// looks is how many polls there are between two lists of which no watch told: there may be keys that it does not
	// tell of (eventlog.Log.WatchForeign).
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
	bell := make(chan struct{}, 1)
	wg.Go(func() { t.listen(ctx, bell) })

	tenure := &tenure{Taker: t, guard: guard}
	for pause := t.poll; ctx.Err() == nil; {
		err := tenure.pass(ctx)
		switch {
		case errors.Is(err, eventlog.ErrFenced):
			t.lg.Info("stopped taking foreign keys: the claim is lost", "err", err)
			return
		case ctx.Err() != nil:
			return
		case err != nil:
			t.failed(err, pause)
			wait(ctx, nil, pause)
			pause = min(2*pause, longestPause)
		default:
			pause = t.poll
			wait(ctx, nil, gather)
			wait(ctx, bell, looks*t.poll)
		}
	}
}

// failed tells of a failure.
func (t *Taker) failed(err error, again time.Duration) {
	t.lg.Warn("taking foreign keys failed; trying again", "err", err, "again_in", again)
	now := time.Now().UTC()
	t.counts.change(func(s *Status) {
		s.Failures++
		s.Error, s.ErrorAt = err.Error(), &now
	})
}

// listen rings when there may be something to list, and at the pace of polls while it cannot be told when.
func (t *Taker) listen(ctx context.Context, bell chan<- struct{}) {
	ring := func() {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		err := t.log.WatchForeign(ctx, ring)
		if ctx.Err() != nil {
			return
		}
		t.lg.Debug("the watch for foreign keys ended; listing until there is another", "err", err)
		ring()
		wait(ctx, nil, t.poll)
	}
}

// wait waits for the bell, for d, or until ctx ends.
func wait(ctx context.Context, bell <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-bell:
	case <-timer.C:
	}
}
