package ingest

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
)

const (
	refreshInterval = time.Second            // between two looks at how things are
	refreshTimeout  = 900 * time.Millisecond // of one
	rewatchPause    = 5 * time.Second        // before how far the log is folded is watched again, after an error
)

// capacityReader is the part of the log that admission needs.
type capacityReader interface {
	// Capacity returns how full etcd is.
	Capacity(ctx context.Context) (eventlog.Capacity, error)
}

// foldWatcher is the part of the projections that admission needs.
type foldWatcher interface {
	// WatchFolded yields how far partitions are folded in the active generation, then the changes, until ctx ends or the
	// positions cannot be known.
	WatchFolded(ctx context.Context) iter.Seq2[map[events.Partition]events.Revision, error]
}

// admission keeps the decision on uploads current. It reads etcd's capacity, the folded positions and the course of
// this process's appends, and decideUploads decides. Uploads ask when they begin and with each event. runRefreshes
// reads; every other method is safe to call at any time.
type admission struct {
	thresholds Thresholds
	log        capacityReader
	folded     foldWatcher
	lg         *slog.Logger
	startedAt  time.Time
	state      atomic.Pointer[admissionState]
	refreshNow wait.Signal // set when a look is wanted at once

	refreshing sync.Mutex // held during a refresh, so that an older one never stores last

	mu          sync.Mutex // guards the fields below
	meter       appendMeter
	backlog     *backlog
	lagErr      error // why it is not known how far the log is folded; nil when it is
	refreshedAt time.Time
}

// admissionState is how things were when last looked at. It is not changed any more.
type admissionState struct {
	readings
	decision
	at         time.Time
	readingErr error // why some of it is not known, or is of an earlier look
}

var errNotRefreshed = errors.New("not looked yet")

func newAdmission(t Thresholds, log capacityReader, folded foldWatcher, lg *slog.Logger) *admission {
	a := &admission{
		thresholds: t, log: log, folded: folded, lg: lg, startedAt: time.Now(), refreshNow: wait.NewSignal(),
		backlog: newBacklog(), refreshedAt: time.Now(),
	}
	a.state.Store(&admissionState{decision: decideUploads(t, readings{}), readingErr: errNotRefreshed})
	return a
}

// runRefreshes refreshes the state until ctx ends.
func (a *admission) runRefreshes(ctx context.Context) {
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { a.watchFolded(ctx) })
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.refreshNow.C():
		}
		a.refreshState(ctx)
	}
}

// refreshState reads everything again and decides. While etcd does not report its capacity, the last reported one
// stands: a process that cannot reach etcd writes nothing meanwhile either.
func (a *admission) refreshState(ctx context.Context) {
	a.refreshing.Lock()
	defer a.refreshing.Unlock()
	within, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	capacity, err := a.log.Capacity(within)
	if ctx.Err() != nil {
		return
	}
	last := a.state.Load()
	next := &admissionState{readings: last.readings, at: time.Now()}
	if err == nil {
		next.capacity, next.sizeKnown = capacity, true
	}
	lost := a.readLocal(&next.readings, next.at)
	next.readingErr = errors.Join(err, lost)
	next.decision = decideUploads(a.thresholds, next.readings)
	a.state.Store(next)
	a.logChange(last, next)
}

// readLocal enters the readings of this process. Its error is the reason why the lag is not known.
func (a *admission) readLocal(r *readings, now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meter.closeStep(now.Sub(a.refreshedAt))
	a.refreshedAt = now
	r.appendTime, r.rate = a.meter.appendTime, a.meter.rate
	r.lag, r.lagKnown = a.backlog.oldestAge(now), a.lagErr == nil
	return a.lagErr
}

// logChange logs how the decision has changed.
func (a *admission) logChange(was, is *admissionState) {
	if is.cause != was.cause || (is.refusal == nil) != (was.refusal == nil) {
		switch {
		case is.refusal != nil:
			a.lg.Warn("uploads are refused", "code", is.cause, "why", is.refusal.Text)
		case is.cause != "":
			a.lg.Warn("uploads are slowed down", "code", is.cause, "share", is.share)
		default:
			a.lg.Info("uploads are accepted without limits again", "code", was.cause)
		}
	}
	if is.readingErr != nil && (was.readingErr == nil || was.readingErr == errNotRefreshed) {
		a.lg.Warn("admission lacks a reading", "err", is.readingErr)
	}
}

// watchFolded keeps track of how far the log is folded.
func (a *admission) watchFolded(ctx context.Context) {
	for ctx.Err() == nil {
		for changed, err := range a.folded.WatchFolded(ctx) {
			a.noteFolded(changed, err)
		}
		wait.Sleep(ctx, rewatchPause)
	}
}

func (a *admission) noteFolded(changed map[events.Partition]events.Revision, lost error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lagErr = lost
	for p, r := range changed {
		a.backlog.setFolded(p, r)
	}
}

// admitUpload returns the refusal of a new upload; nil lets it in.
func (a *admission) admitUpload() error {
	if r := a.state.Load().refusal; r != nil {
		return r
	}
	return nil
}

// Uploads are slowed where events leave the parsers (AwaitPass) and where they enter the log (RestAfter): the first
// bounds an upload held up by reading and parsing, the second one held up by the log.

// AwaitPass returns when an event of an upload under way may go on to the log, or an error when uploads are stopped.
func (a *admission) AwaitPass(ctx context.Context) error {
	for {
		v := a.state.Load()
		if v.stops {
			return v.refusal
		}
		pause := passWait(time.Since(a.startedAt), v.share)
		if pause == 0 {
			return nil
		}
		if !wait.Sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// RestAfter pauses after an append that took some time, as long as the share demands.
func (a *admission) RestAfter(ctx context.Context, took time.Duration) error {
	pause := restTime(took, a.state.Load().share)
	if pause > 0 && !wait.Sleep(ctx, pause) {
		return context.Cause(ctx)
	}
	return nil
}

// MeasureAppend carries out an append and takes in how it went.
func (a *admission) MeasureAppend(group []events.Event, partitions int, do func() ([]eventlog.Appended, error)) ([]eventlog.Appended, error) {
	began := time.Now()
	a.mu.Lock()
	a.meter.beginAppend()
	a.mu.Unlock()
	results, err := do()
	took := time.Since(began)
	a.mu.Lock()
	defer a.mu.Unlock()
	records := int64(0)
	for i, r := range results {
		records += int64(group[i].Records())
		a.backlog.addAppend(events.PartitionOf(group[i].Host, partitions), r.Revision, began)
	}
	a.meter.endAppend(took, records)
	if errors.Is(err, eventlog.ErrNoSpace) {
		a.refreshNow.Set()
	}
	return results, err
}
