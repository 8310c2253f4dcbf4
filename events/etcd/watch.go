package etcd

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxRanges bounds the ranges of a Watch.
const maxRanges = 2

// Pauses before a progress request while one range of a Watch with BalanceProgress is ahead of the other. The pause
// doubles until etcd answers.
const (
	minUneven = 2 * time.Millisecond
	maxUneven = 64 * time.Millisecond
)

// Range is the half-open interval of keys [From, End).
type Range struct{ From, End string }

// Prefix returns the range of keys that begin with prefix.
func Prefix(prefix string) Range { return Range{From: prefix, End: clientv3.GetPrefixRangeEnd(prefix)} }

// NewWatcher returns a watcher with gRPC streams that nothing else uses. The caller closes it.
type NewWatcher func() clientv3.Watcher

// Watchers returns watchers on the connection of a client. A client without a connection has a Watcher that makes others
// of its kind.
func Watchers(client *clientv3.Client) NewWatcher {
	if w, ok := client.Watcher.(interface{ NewWatcher() clientv3.Watcher }); ok {
		return w.NewWatcher
	}
	return func() clientv3.Watcher { return clientv3.NewWatcher(client) }
}

// Watch describes a watch of one or two ranges of keys; see the package comment for its promises.
type Watch struct {
	NewWatcher NewWatcher
	Subject    string  // names the keys in errors: "watching {Subject}: …"
	Ranges     []Range // one, or two that are watched by one goroutine
	After      int64   // watch after this revision, which must be 1 or more and not in etcd's future
	PutsOnly   bool    // skip deletions
	Silence    Silence

	// BalanceProgress requests progress at once when one of two ranges is ahead of the other, for a caller that needs both up to
	// the same revision.
	BalanceProgress bool
	// Check, if set, is called first with every response and the revision up to which all ranges were delivered. Its
	// error ends the watch.
	Check func(ctx context.Context, resp *clientv3.WatchResponse, upto int64) error
}

// Response holds the new events of one response of etcd. Without events it is progress, which has the same Upto again
// while nothing is written.
type Response struct {
	Range  int               // index in Watch.Ranges
	Events []*clientv3.Event // in order of revision; this package does not change them after delivery
	Upto   int64             // every change of the range up to here has been delivered with this response
	Bytes  int               // SizeOf the events
}

// SizeOf returns the approximate memory of buffered events.
func SizeOf(events []*clientv3.Event) int {
	size := 0
	for _, ev := range events {
		size += len(ev.Kv.Key) + len(ev.Kv.Value) + 128
	}
	return size
}

// Run watches until ctx ends, the watch fails or deliver returns an error, and returns that error. It calls deliver one
// response at a time; the time that deliver takes does not count as silence.
func (w *Watch) Run(ctx context.Context, deliver func(Response) error) error {
	r := &watchRun{watch: w, deliver: deliver}
	for i, keys := range w.Ranges {
		r.all[i] = newRangeWatch(w, keys)
	}
	r.ranges = r.all[:len(w.Ranges)]
	defer r.stopAll()
	for i := range r.ranges {
		r.ranges[i].beginWatch(ctx)
	}
	timer := time.NewTimer(r.untilCheck())
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case resp, open := <-r.all[0].responses:
			err = r.handleResponse(ctx, 0, &resp, open)
		case resp, open := <-r.all[1].responses: // nil without a second range
			err = r.handleResponse(ctx, 1, &resp, open)
		case <-timer.C:
			err = r.checkRanges(ctx)
		}
		if err != nil {
			return err
		}
		timer.Reset(r.untilCheck())
	}
}

// watchRun is the state of one Watch.Run.
type watchRun struct {
	watch   *Watch
	deliver func(Response) error
	all     [maxRanges]rangeWatch
	ranges  []rangeWatch // the used part of all

	unevenPause   time.Duration // pause between progress requests while one range is ahead; otherwise 0
	unevenCheckAt time.Time     // time of the next progress request
}

func (r *watchRun) stopAll() {
	for i := range r.ranges {
		r.ranges[i].stop()
	}
}

// untilCheck returns the time until the next check.
func (r *watchRun) untilCheck() time.Duration {
	next := r.ranges[0].dueAt
	if len(r.ranges) > 1 && r.ranges[1].dueAt.Before(next) {
		next = r.ranges[1].dueAt
	}
	if r.unevenPause > 0 && r.unevenCheckAt.Before(next) {
		next = r.unevenCheckAt
	}
	return time.Until(next)
}

// handleResponse delivers a response.
func (r *watchRun) handleResponse(ctx context.Context, i int, resp *clientv3.WatchResponse, open bool) error {
	if !open {
		return r.closedError(ctx)
	}
	if err := r.checkResponse(ctx, resp); err != nil {
		return err
	}
	now, l := time.Now(), &r.ranges[i]
	l.noteResponse(now, resp)
	out := Response{Range: i, Events: newEvents(resp.Events, l.upto), Upto: l.upto}
	progress := resp.IsProgressNotify()
	switch {
	case len(out.Events) > 0: // the header's revision belongs to the whole store
		out.Upto, out.Bytes = out.Events[len(out.Events)-1].Kv.ModRevision, SizeOf(out.Events)
	case progress:
		out.Upto = max(out.Upto, resp.Header.Revision)
	default:
		return nil
	}
	l.upto = out.Upto
	r.scheduleBalance(now, progress)
	if err := r.deliver(out); err != nil {
		return err
	}
	r.extendDeadlines(time.Since(now))
	return nil
}

// newEvents returns the events after a revision; the others were delivered before. etcd sends events in order of
// revision.
func newEvents(events []*clientv3.Event, upto int64) []*clientv3.Event {
	for len(events) > 0 && events[0].Kv.ModRevision <= upto {
		events = events[1:]
	}
	return events
}

// extendDeadlines excludes the time of a delivery, in which nothing was read, from the silence.
func (r *watchRun) extendDeadlines(busy time.Duration) {
	for i := range r.ranges {
		r.ranges[i].heardAt = r.ranges[i].heardAt.Add(busy)
		r.ranges[i].dueAt = r.ranges[i].dueAt.Add(busy)
	}
}

// closedError returns the reason why the client closed a channel of responses.
func (r *watchRun) closedError(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := r.silenceError(); err != nil {
		return err
	}
	return fmt.Errorf("watching %s: %w", r.watch.Subject, ErrClosed)
}

func (r *watchRun) checkResponse(ctx context.Context, resp *clientv3.WatchResponse) error {
	if resp.CompactRevision != 0 {
		return fmt.Errorf("watching %s: %w", r.watch.Subject, &CompactedError{resp.CompactRevision})
	}
	if err := resp.Err(); err != nil {
		return fmt.Errorf("watching %s: %w", r.watch.Subject, err)
	}
	if r.watch.Check == nil {
		return nil
	}
	upto := r.ranges[0].upto
	if len(r.ranges) > 1 {
		upto = min(upto, r.ranges[1].upto)
	}
	return r.watch.Check(ctx, resp, upto)
}

// scheduleBalance schedules a progress request soon after one range is ahead of the other, even if more responses
// arrive meanwhile.
func (r *watchRun) scheduleBalance(now time.Time, progress bool) {
	switch {
	case !r.watch.BalanceProgress:
	case r.ranges[0].upto == r.ranges[1].upto:
		r.unevenPause = 0
	case r.unevenPause == 0 || progress:
		r.unevenCheckAt, r.unevenPause = now.Add(minUneven), minUneven
	}
}

// checkRanges checks the ranges that are due, and all of them while they are uneven.
func (r *watchRun) checkRanges(ctx context.Context) error {
	if err := r.silenceError(); err != nil {
		return err
	}
	now := time.Now()
	uneven := r.unevenPause > 0 && !now.Before(r.unevenCheckAt)
	for i := range r.ranges {
		if l := &r.ranges[i]; uneven || !now.Before(l.dueAt) {
			l.checkProgress(ctx)
		}
	}
	if uneven {
		r.unevenPause = min(2*r.unevenPause, maxUneven)
		r.unevenCheckAt = time.Now().Add(r.unevenPause)
	}
	return nil
}

// silenceError returns a SilentError if the silence has lasted too long.
func (r *watchRun) silenceError() error {
	for i := range r.ranges {
		if quiet := r.ranges[i].quietTime(); quiet >= r.watch.Silence.Lost {
			return fmt.Errorf("watching %s: %w", r.watch.Subject, &SilentError{quiet.Round(time.Millisecond)})
		}
	}
	return nil
}
