package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
)

const (
	appendsInFlight = 4  // of one upload
	maxGroup        = 64 // events in one append
)

// appends makes groups of a file's events durable and counts the results.
type appends struct {
	log        appender
	partitions int
	timeout    time.Duration // of one append
	throttle   throttle
	observe    func(seconds float64)
	capacity   int64 // bytes of events in flight

	mu    sync.Mutex
	stats answer.AppendStats // guarded by mu while appends are under way
}

// appendStage is the stage that makes events durable: it accepts them in bounded bytes, groups the events that
// gathered while earlier appends were under way, and counts the results.
type appendStage struct {
	*appends
	in   chan events.Event
	room *semaphore.Weighted // the unused part of capacity
}

// newSink returns the sink of a file. The events of a small file are appended together, the events of any other as they
// come.
func (c *Processor) newSink(dryRun, small bool) sink {
	if dryRun {
		return newDryRunSink()
	}
	to := &appends{
		log: c.log, partitions: c.log.Facts().Partitions, timeout: c.cfg.AppendTimeout, throttle: c.throttle, observe: c.observe,
		capacity: max(c.cfg.MemoryBytes/2, 1<<20), stats: answer.AppendStats{Reached: map[events.Partition]events.Revision{}},
	}
	if small {
		return &smallAppend{appends: to}
	}
	return newAppendStage(to)
}

func newAppendStage(to *appends) *appendStage {
	return &appendStage{appends: to, in: make(chan events.Event, maxGroup), room: semaphore.NewWeighted(to.capacity)}
}

// putEvent passes an event on, once admission lets it pass and there is room for it. An event larger than all
// room is let in alone.
func (a *appendStage) putEvent(ctx context.Context, e events.Event) error {
	if err := a.throttle.AwaitPass(ctx); err != nil {
		return err
	}
	if err := a.room.Acquire(ctx, a.eventCost(&e)); err != nil {
		return context.Cause(ctx)
	}
	select {
	case a.in <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *appends) appendStats() *answer.AppendStats { return &a.stats }

// closeInput ends the input.
func (a *appendStage) closeInput() { close(a.in) }

// eventCost returns roughly the memory of an event in bytes.
func (a *appends) eventCost(e *events.Event) int64 {
	const perEvent, perIdentity, perColumn, perReading, perAbsence = 256, 512, 128, 16, 64
	n := int64(perEvent + perIdentity*len(e.Identities) + perColumn*len(e.Columns))
	for i := range e.Columns {
		n += int64(perReading*e.Columns[i].Len() + perAbsence*len(e.Columns[i].Absent))
	}
	return min(n, a.capacity)
}

// runStage appends until closeInput was called and all is durable, or the first append fails.
func (a *appendStage) runStage(outer context.Context) error {
	appends, ctx := errgroup.WithContext(outer)
	slots := semaphore.NewWeighted(appendsInFlight)
	for {
		first, ok := a.nextEvent(ctx)
		if !ok {
			break
		}
		if slots.Acquire(ctx, 1) != nil {
			break
		}
		group := a.gatherGroup(first)
		appends.Go(func() error {
			defer slots.Release(1)
			return RecoverToError(func() error {
				began := time.Now()
				if err := a.appendGroup(ctx, group); err != nil {
					return err
				}
				for i := range group {
					a.room.Release(a.eventCost(&group[i]))
				}
				return a.throttle.RestAfter(ctx, time.Since(began))
			})
		})
	}
	if err := appends.Wait(); err != nil {
		return err
	}
	return context.Cause(outer)
}

func (a *appendStage) nextEvent(ctx context.Context) (events.Event, bool) {
	select {
	case e, ok := <-a.in:
		return e, ok && ctx.Err() == nil
	case <-ctx.Done():
		return events.Event{}, false
	}
}

// gatherGroup collects further events that are ready, up to a fair share of the room, without waiting.
func (a *appendStage) gatherGroup(first events.Event) []events.Event {
	group, bytes := []events.Event{first}, a.eventCost(&first)
	for len(group) < maxGroup && bytes < a.capacity/appendsInFlight {
		select {
		case e, ok := <-a.in:
			if !ok {
				return group
			}
			group = append(group, e)
			bytes += a.eventCost(&e)
		default:
			return group
		}
	}
	return group
}

func (a *appends) appendGroup(ctx context.Context, group []events.Event) error {
	within, cancel := context.WithTimeoutCause(ctx, a.timeout, errSlowLog)
	defer cancel()
	began := time.Now()
	results, err := a.throttle.MeasureAppend(group, a.partitions, func() ([]eventlog.Appended, error) { return a.log.Append(within, group) })
	a.observe(time.Since(began).Seconds())
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx) // the upload was ended; that is the reason
		}
		return logRefusal(err)
	}
	a.countResults(group, results)
	return nil
}

func (a *appends) countResults(group []events.Event, results []eventlog.Appended) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, r := range results {
		a.stats.CountEvent(&group[i], r.Created, events.PartitionOf(group[i].Host, a.partitions), events.Ref{Key: r.Key, Revision: r.Revision})
	}
}

var errSlowLog = errors.New("etcd did not accept an append in time")

// logRefusal returns the refusal for a failed append.
func logRefusal(err error) *answer.Refusal {
	if large, ok := errors.AsType[*eventlog.TooLargeError](err); ok {
		return answer.Refuse(answer.CodeEventTooLarge,
			"the rows of host %s make an event of %d bytes, more than the log takes; shorten their labels and texts", large.Host, large.Bytes).WithCause(err)
	}
	if errors.Is(err, eventlog.ErrNoSpace) {
		return answer.LogFull().WithCause(err)
	}
	return answer.Refuse(answer.CodeLogUnavailable,
		"etcd does not accept events at the moment; send the file again in a few seconds").WithRetryAfter(5 * time.Second).WithCause(
		fmt.Errorf("appending events: %w", err))
}
