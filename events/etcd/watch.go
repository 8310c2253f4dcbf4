package etcd

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxRanges bounds the ranges of a Watch.
const maxRanges = 2

// How soon etcd is asked for its progress while one range of Watch.Even is ahead of the other; without an answer the
// pause doubles.
const (
	minUneven = 2 * time.Millisecond
	maxUneven = 64 * time.Millisecond
)

// Watcher is the part of an etcd client that a Watch uses.
type Watcher interface {
	Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan
	// RequestProgress makes every watch of the stream that ctx selects send its position once it has caught up.
	RequestProgress(ctx context.Context) error
}

// Range is the keys from From to before End.
type Range struct{ From, End string }

// Prefix returns the range of keys that begin with prefix.
func Prefix(prefix string) Range { return Range{From: prefix, End: clientv3.GetPrefixRangeEnd(prefix)} }

// Watch describes a watch of one or two ranges of keys; see the package comment for its promises.
type Watch struct {
	Client   Watcher
	Subject  string  // names the keys in errors: "watching {Subject}: …"
	Ranges   []Range // one, or two that one goroutine follows
	After    int64   // the revision that the caller has; it must be 1 or more and not in etcd's future
	PutsOnly bool    // leaves deletions out
	Silence  Silence

	// Even makes etcd report its progress at once when one of two ranges is ahead of the other, for a caller that
	// needs both up to the same revision.
	Even bool
	// Check, where set, sees every response first, and the revision up to which all ranges were delivered. Its error
	// ends the watch.
	Check func(ctx context.Context, resp *clientv3.WatchResponse, upto int64) error
}

// Response is what one response of etcd added. Without events it is progress, with the same Upto again while nothing is
// written.
type Response struct {
	Range  int               // index in Watch.Ranges
	Events []*clientv3.Event // in order of revision; never changed afterwards by this package
	Upto   int64             // every change of the range up to here has been delivered with this response
	Bytes  int               // SizeOf the events
}

// SizeOf returns about the memory of events that wait.
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
	r := &run{watch: w, deliver: deliver}
	for i, keys := range w.Ranges {
		r.all[i] = newLine(w, keys)
	}
	r.lines = r.all[:len(w.Ranges)]
	defer r.stop()
	for i := range r.lines {
		r.lines[i].begin(ctx)
	}
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case resp, open := <-r.all[0].responses:
			err = r.hear(ctx, 0, &resp, open)
		case resp, open := <-r.all[1].responses: // nil where there is no second range
			err = r.hear(ctx, 1, &resp, open)
		case <-timer.C:
			err = r.check(ctx)
		}
		if err != nil {
			return err
		}
		timer.Reset(r.pause())
	}
}

// run is one Watch.Run.
type run struct {
	watch   *Watch
	deliver func(Response) error
	all     [maxRanges]line
	lines   []line // the part of all that is in use

	uneven      time.Duration // pause between progress requests while one range is ahead; 0 while none is
	unevenCheck time.Time     // the next of them
}

func (r *run) stop() {
	for i := range r.lines {
		r.lines[i].stop()
	}
}

// pause returns how long to wait for a response before the next check.
func (r *run) pause() time.Duration {
	next := r.lines[0].due
	if len(r.lines) > 1 && r.lines[1].due.Before(next) {
		next = r.lines[1].due
	}
	if r.uneven > 0 && r.unevenCheck.Before(next) {
		next = r.unevenCheck
	}
	return time.Until(next)
}

// hear delivers a response.
func (r *run) hear(ctx context.Context, i int, resp *clientv3.WatchResponse, open bool) error {
	if !open {
		return r.ended(ctx)
	}
	if err := r.checkResponse(ctx, resp); err != nil {
		return err
	}
	now, l := time.Now(), &r.lines[i]
	l.hear(now, resp)
	news := Response{Range: i, Events: newEvents(resp.Events, l.upto), Upto: l.upto}
	progress := resp.IsProgressNotify()
	switch {
	case len(news.Events) > 0: // the header's revision is the whole store's
		news.Upto, news.Bytes = news.Events[len(news.Events)-1].Kv.ModRevision, SizeOf(news.Events)
	case progress:
		news.Upto = max(news.Upto, resp.Header.Revision)
	default:
		return nil
	}
	l.upto = news.Upto
	r.balance(now, progress)
	if err := r.deliver(news); err != nil {
		return err
	}
	r.excuse(time.Since(now))
	return nil
}

// newEvents leaves out the events up to a revision, which were delivered. etcd sends events in order of revision.
func newEvents(events []*clientv3.Event, upto int64) []*clientv3.Event {
	for len(events) > 0 && events[0].Kv.ModRevision <= upto {
		events = events[1:]
	}
	return events
}

// excuse keeps the time of a delivery, in which nothing was read, from counting as silence.
func (r *run) excuse(busy time.Duration) {
	for i := range r.lines {
		r.lines[i].heard = r.lines[i].heard.Add(busy)
		r.lines[i].due = r.lines[i].due.Add(busy)
	}
}

// ended returns why the client closed a channel of responses.
func (r *run) ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := r.silent(); err != nil {
		return err
	}
	return fmt.Errorf("watching %s: %w", r.watch.Subject, ErrClosed)
}

func (r *run) checkResponse(ctx context.Context, resp *clientv3.WatchResponse) error {
	if resp.CompactRevision != 0 {
		return fmt.Errorf("watching %s: %w", r.watch.Subject, &CompactedError{resp.CompactRevision})
	}
	if err := resp.Err(); err != nil {
		return fmt.Errorf("watching %s: %w", r.watch.Subject, err)
	}
	if r.watch.Check == nil {
		return nil
	}
	upto := r.lines[0].upto
	if len(r.lines) > 1 {
		upto = min(upto, r.lines[1].upto)
	}
	return r.watch.Check(ctx, resp, upto)
}

// balance schedules a progress request soon after one range got ahead of the other, however much comes meanwhile.
func (r *run) balance(now time.Time, progress bool) {
	switch {
	case !r.watch.Even:
	case r.lines[0].upto == r.lines[1].upto:
		r.uneven = 0
	case r.uneven == 0 || progress:
		r.unevenCheck, r.uneven = now.Add(minUneven), minUneven
	}
}

// check handles the lines that have been quiet for their time, and all of them while they are uneven.
func (r *run) check(ctx context.Context) error {
	if err := r.silent(); err != nil {
		return err
	}
	now := time.Now()
	uneven := r.uneven > 0 && !now.Before(r.unevenCheck)
	for i := range r.lines {
		if l := &r.lines[i]; uneven || !now.Before(l.due) {
			l.check(ctx)
		}
	}
	if uneven {
		r.uneven = min(2*r.uneven, maxUneven)
		r.unevenCheck = time.Now().Add(r.uneven)
	}
	return nil
}

// silent returns the error of a silence that has lasted too long.
func (r *run) silent() error {
	for i := range r.lines {
		if quiet := r.lines[i].quiet(); quiet >= r.watch.Silence.Lost {
			return fmt.Errorf("watching %s: %w", r.watch.Subject, &SilentError{quiet.Round(time.Millisecond)})
		}
	}
	return nil
}
