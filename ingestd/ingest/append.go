package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

const (
	appendsInFlight = 4  // of one upload
	maxGroup        = 64 // events in one append
)

// appending is the stage that makes events durable: it takes them in bounded bytes, groups what has
// gathered while earlier appends were under way, and tallies what became of them.
type appending struct {
	log        appender
	partitions int
	timeout    time.Duration // of one append
	admission  *admission
	observe    func(seconds float64)

	in       chan events.Event
	capacity int64               // bytes of events in flight
	room     *semaphore.Weighted // what is left of capacity

	mu    sync.Mutex
	tally tally // guarded by mu while run is under way
}

// tally is what became of the events of an upload.
type tally struct {
	accepted, duplicate, absent int64 // records
	events                      eventCount
	first, last                 events.Timestamp // of all records, when any
	revision                    events.Revision  // newest
	reached                     map[events.Partition]events.Revision
}

func newAppending(log appender, adm *admission, capacity int64, timeout time.Duration, observe func(seconds float64)) *appending {
	return &appending{
		log: log, partitions: log.Facts().Partitions, timeout: timeout, admission: adm, observe: observe,
		in: make(chan events.Event, maxGroup), capacity: capacity, room: semaphore.NewWeighted(capacity),
		tally: tally{reached: map[events.Partition]events.Revision{}},
	}
}

// put hands over an event, once admission lets it pass and there is room for it. An event larger than all
// room is let in alone.
func (a *appending) put(ctx context.Context, e events.Event) error {
	if err := a.admission.pass(ctx); err != nil {
		return err
	}
	if err := a.room.Acquire(ctx, a.cost(&e)); err != nil {
		return context.Cause(ctx)
	}
	select {
	case a.in <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *appending) result() *tally { return &a.tally }

// finish says that no more events come.
func (a *appending) finish() { close(a.in) }

// cost is about what an event occupies.
func (a *appending) cost(e *events.Event) int64 {
	const perEvent, perIdentity, perColumn, perReading, perAbsence = 256, 512, 128, 16, 64
	n := int64(perEvent + perIdentity*len(e.Identities) + perColumn*len(e.Columns))
	for i := range e.Columns {
		n += int64(perReading*e.Columns[i].Len() + perAbsence*len(e.Columns[i].Absent))
	}
	return min(n, a.capacity)
}

// run appends until finish was called and all is durable, or the first append fails.
func (a *appending) run(ctx context.Context) error {
	appends := newCrew(ctx, nil)
	slots := make(chan struct{}, appendsInFlight)
	for {
		first, ok := a.next(appends.ctx)
		if !ok {
			break
		}
		select {
		case slots <- struct{}{}:
		case <-appends.ctx.Done():
			continue // next sees it too
		}
		group := a.gather(first)
		appends.start(func(ctx context.Context) error {
			defer func() { <-slots }()
			began := time.Now()
			if err := a.append(ctx, group); err != nil {
				return err
			}
			return a.admission.rest(ctx, time.Since(began))
		})
	}
	if err := appends.wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (a *appending) next(ctx context.Context) (events.Event, bool) {
	select {
	case e, ok := <-a.in:
		return e, ok && ctx.Err() == nil
	case <-ctx.Done():
		return events.Event{}, false
	}
}

// gather takes what else is there, up to a fair share of the room, without waiting.
func (a *appending) gather(first events.Event) []events.Event {
	group, bytes := []events.Event{first}, a.cost(&first)
	for len(group) < maxGroup && bytes < a.capacity/appendsInFlight {
		select {
		case e, ok := <-a.in:
			if !ok {
				return group
			}
			group = append(group, e)
			bytes += a.cost(&e)
		default:
			return group
		}
	}
	return group
}

func (a *appending) append(ctx context.Context, group []events.Event) error {
	within, cancel := context.WithTimeoutCause(ctx, a.timeout, errSlowLog)
	defer cancel()
	began := time.Now()
	results, err := a.admission.measured(group, a.partitions, func() ([]eventlog.Appended, error) { return a.log.Append(within, group) })
	a.observe(time.Since(began).Seconds())
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx) // the upload was ended; that is the reason
		}
		return logRefusal(err)
	}
	a.count(group, results)
	for i := range group {
		a.room.Release(a.cost(&group[i]))
	}
	return nil
}

func (a *appending) count(group []events.Event, results []eventlog.Appended) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, r := range results {
		a.tally.add(&group[i], r, events.PartitionOf(group[i].Host, a.partitions))
	}
}

func (t *tally) add(e *events.Event, r eventlog.Appended, p events.Partition) {
	records := int64(e.Records())
	if r.Created {
		t.accepted += records
		t.events.Appended++
	} else {
		t.duplicate += records
		t.events.Existing++
	}
	for i := range e.Columns {
		c := &e.Columns[i]
		t.absent += int64(len(c.Absent))
		if c.Len() == 0 {
			continue
		}
		if t.first == 0 || c.Times[0] < t.first {
			t.first = c.Times[0]
		}
		t.last = max(t.last, c.Times[c.Len()-1])
	}
	t.reach(p, r.Revision)
}

func (t *tally) reach(p events.Partition, r events.Revision) {
	if r.Number > t.revision.Number {
		t.revision = r
	}
	if r.Number > t.reached[p].Number {
		t.reached[p] = r
	}
}

// extend takes over how far another tally's events got, and the span of their times.
func (t *tally) extend(other *tally) {
	if t.reached == nil {
		t.reached = map[events.Partition]events.Revision{}
	}
	if other.first != 0 && (t.first == 0 || other.first < t.first) {
		t.first = other.first
	}
	t.last = max(t.last, other.last)
	for p, r := range other.reached {
		t.reach(p, r)
	}
}

var errSlowLog = errors.New("etcd did not accept an append in time")

// logRefusal tells the sender what a failed append means.
func logRefusal(err error) *refusal {
	if large, ok := errors.AsType[*eventlog.TooLargeError](err); ok {
		return refuse(fiber.StatusUnprocessableEntity, codeTooDense,
			"the rows of host %s make an event of %d bytes, more than the log takes; shorten their labels and texts", large.Host, large.Bytes).because(err)
	}
	if errors.Is(err, eventlog.ErrNoSpace) {
		return noSpace().because(err)
	}
	return refuse(fiber.StatusServiceUnavailable, codeLogUnavailable,
		"etcd does not accept events at the moment; send the file again in a few seconds").after(5 * time.Second).because(
		fmt.Errorf("appending events: %w", err))
}
