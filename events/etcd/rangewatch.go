package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// rangeWatch is the watch of one range: a sequence of etcd watches. Only the goroutine of Watch.Run uses it.
type rangeWatch struct {
	watch     *Watch
	keys      Range
	responses clientv3.WatchChan // nil if the last attempt to begin a watch took too long
	watcher   clientv3.Watcher   // of responses, with a gRPC stream of its own
	cancel    context.CancelFunc // ends the watch of responses

	upto         int64         // the last delivered revision
	heardAt      time.Time     // time of the last response
	progressed   bool          // the current watch has sent progress or changes
	beginTimeout time.Duration // for the next attempt to begin a watch
	dueAt        time.Time     // time of the next check, unless a response comes before
}

func newRangeWatch(w *Watch, keys Range) rangeWatch {
	return rangeWatch{watch: w, keys: keys, upto: w.After, heardAt: time.Now(), beginTimeout: w.Silence.beginTimeout()}
}

// beginWatch replaces the watch. It starts at the last delivered revision, not after it: etcd sends no progress to a
// watch that starts in the future, which the next revision is while nothing is written. The client returns from Watch
// once an etcd member has answered. If that takes too long there is no watch, and the next attempt goes to another
// member.
func (l *rangeWatch) beginWatch(ctx context.Context) {
	l.stop()
	ctx, l.cancel = context.WithCancel(clientv3.WithRequireLeader(ctx))
	impatient := time.AfterFunc(min(l.beginTimeout, l.watch.Silence.Lost-time.Since(l.heardAt)), l.cancel)
	l.watcher, l.progressed = l.watch.NewWatcher(), false
	l.responses = l.watcher.Watch(ctx, l.keys.From, l.watchOptions()...)
	if !impatient.Stop() {
		l.responses, l.beginTimeout = nil, 2*l.beginTimeout
	}
	l.scheduleCheck()
}

// stop ends the watch and its stream, if there is one. The end of the watch alone may leave a stream: a progress request
// to a stream that has just ended opens another one.
func (l *rangeWatch) stop() {
	if l.watcher == nil {
		return
	}
	l.cancel()
	_ = l.watcher.Close() // the error of a stream that nothing reads any more
	l.watcher, l.responses = nil, nil
}

func (l *rangeWatch) watchOptions() []clientv3.OpOption {
	opts := []clientv3.OpOption{
		clientv3.WithRange(l.keys.End), clientv3.WithRev(max(l.upto, 1)),
		clientv3.WithProgressNotify(), clientv3.WithCreatedNotify(), clientv3.WithFragment(),
	}
	if l.watch.PutsOnly {
		opts = append(opts, clientv3.WithFilterDelete())
	}
	return opts
}

// noteResponse records a response and schedules the next check.
func (l *rangeWatch) noteResponse(now time.Time, resp *clientv3.WatchResponse) {
	l.heardAt, l.progressed, l.beginTimeout = now, l.progressed || !resp.Created, l.watch.Silence.beginTimeout()
	l.dueAt = now.Add(l.watch.Silence.checkPause(0, l.progressed))
}

// quietTime returns the time since the last response.
func (l *rangeWatch) quietTime() time.Duration { return time.Since(l.heardAt) }

// isStalled reports whether the watch must be replaced.
func (l *rangeWatch) isStalled() bool {
	return l.responses == nil || l.progressed && l.quietTime() >= l.watch.Silence.Again
}

// checkProgress replaces a stalled watch and requests progress. The answer arrives like any other response; without
// an answer the silence continues.
func (l *rangeWatch) checkProgress(ctx context.Context) {
	if l.isStalled() {
		l.beginWatch(ctx)
	}
	if l.responses == nil {
		return
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), l.watch.Silence.Ask)
	defer cancel()
	_ = l.watcher.RequestProgress(ctx) // a failure has the same effect as silence
	l.scheduleCheck()
}

// scheduleCheck sets the time of the next check.
func (l *rangeWatch) scheduleCheck() {
	pause := minPause // beginWatch already took time
	if l.responses != nil {
		pause = l.watch.Silence.checkPause(l.quietTime(), l.progressed)
	}
	l.dueAt = time.Now().Add(pause)
}
