package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

const (
	lookInterval = time.Second            // between two looks at how things are
	lookTimeout  = 900 * time.Millisecond // of one
	watchPause   = 5 * time.Second        // before how far the log is folded is watched again, after an error
)

// admission keeps a verdict on uploads current: it looks at etcd, at what is folded and at how appends fare,
// and has judge say what follows. Uploads ask it when they begin and with each event. run does the looking;
// everything else is safe to call at any time.
type admission struct {
	marks  Marks
	log    appender
	folded projector
	lg     *slog.Logger
	began  time.Time
	now    atomic.Pointer[standing]
	again  chan struct{} // holds a token when a look is wanted at once

	looking sync.Mutex // held during a look, so that an older one never comes last

	mu      sync.Mutex // guards what follows
	meter   meter
	backlog *backlog
	lost    error // why it is not known how far the log is folded; nil when it is
	looked  time.Time
}

// standing is how things were when last looked at. It is not changed any more.
type standing struct {
	readings
	verdict
	at      time.Time
	trouble error // why some of it is not known, or is of an earlier look
}

var errNotLooked = errors.New("not looked yet")

func newAdmission(marks Marks, log appender, folded projector, lg *slog.Logger) *admission {
	a := &admission{
		marks: marks, log: log, folded: folded, lg: lg, began: time.Now(), again: make(chan struct{}, 1),
		backlog: newBacklog(), looked: time.Now(),
	}
	a.now.Store(&standing{verdict: judge(marks, readings{}), trouble: errNotLooked})
	return a
}

// run looks until ctx ends.
func (a *admission) run(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { a.follow(ctx) })
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.again:
		}
		a.look(ctx)
	}
}

// look renews the standing. When etcd does not say how full it is, what it said last stands: nothing can be
// written meanwhile by anybody who cannot reach it either.
func (a *admission) look(ctx context.Context) {
	a.looking.Lock()
	defer a.looking.Unlock()
	within, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	capacity, err := a.log.Capacity(within)
	if ctx.Err() != nil {
		return
	}
	last := a.now.Load()
	next := &standing{readings: last.readings, at: time.Now()}
	if err == nil {
		next.capacity, next.sizeKnown = capacity, true
	}
	lost := a.measure(&next.readings, next.at)
	next.trouble = errors.Join(err, lost)
	next.verdict = judge(a.marks, next.readings)
	a.now.Store(next)
	a.tell(last, next)
}

// measure fills in what is known here, and tells why the lag is not.
func (a *admission) measure(r *readings, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meter.step(now.Sub(a.looked))
	a.looked = now
	r.appendTime, r.rate = a.meter.appendTime, a.meter.rate
	r.lag, r.lagKnown = a.backlog.age(now), a.lost == nil
	return a.lost
}

// tell logs what has become otherwise.
func (a *admission) tell(was, is *standing) {
	if is.cause != was.cause || (is.refusal == nil) != (was.refusal == nil) {
		switch {
		case is.refusal != nil:
			a.lg.Warn("uploads are refused", "code", is.cause, "why", is.refusal.text)
		case is.cause != "":
			a.lg.Warn("uploads are slowed down", "code", is.cause, "share", is.share)
		default:
			a.lg.Info("uploads are let in unhindered again", "code", was.cause)
		}
	}
	if is.trouble != nil && (was.trouble == nil || was.trouble == errNotLooked) {
		a.lg.Warn("admission does not know all it judges by", "err", is.trouble)
	}
}

// follow keeps track of how far the log is folded.
func (a *admission) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for changed, err := range a.folded.WatchFolded(ctx) {
			a.fold(changed, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

func (a *admission) fold(changed map[events.Partition]events.Revision, lost error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = lost
	for p, r := range changed {
		a.backlog.reached(p, r)
	}
}

// admit is nil when a new upload may come in.
func (a *admission) admit() error {
	if r := a.now.Load().refusal; r != nil {
		return r
	}
	return nil
}

// The pace is kept where events come out of the parsers (pass) and where they go into the log (rest): the
// one bounds an upload that reading and parsing hold up, the other one that the log holds up.

// pass lets an event of an upload under way go on to the log: when its time in the pace has come, and unless
// uploads are stopped.
func (a *admission) pass(ctx context.Context) error {
	for {
		v := a.now.Load()
		if v.stops {
			return v.refusal
		}
		wait := untilOpen(time.Since(a.began), v.share)
		if wait == 0 {
			return nil
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// rest makes an append's place idle for as long as its share asks, after an append that took so long.
func (a *admission) rest(ctx context.Context, took time.Duration) error {
	return sleep(ctx, idle(took, a.now.Load().share))
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// measured carries out an append and takes in how it went.
func (a *admission) measured(group []events.Event, partitions int, do func() ([]eventlog.Appended, error)) ([]eventlog.Appended, error) {
	began := time.Now()
	a.mu.Lock()
	a.meter.begin()
	a.mu.Unlock()
	results, err := do()
	took := time.Since(began)
	a.mu.Lock()
	defer a.mu.Unlock()
	records := int64(0)
	for i, r := range results {
		records += int64(group[i].Records())
		a.backlog.add(events.PartitionOf(group[i].Host, partitions), r.Revision, began)
	}
	a.meter.end(took, records)
	if errors.Is(err, eventlog.ErrNoSpace) {
		a.lookSoon()
	}
	return results, err
}

// lookSoon has run look without waiting for its time.
func (a *admission) lookSoon() {
	select {
	case a.again <- struct{}{}:
	default:
	}
}
