package etcd

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// rangeWatch is the watch of one range: a sequence of etcd watches. Only the goroutine of Watch.Run uses it.
type rangeWatch struct {
	watch     *Watch
	keys      Range
	responses clientv3.WatchChan // nil if the last attempt to begin a watch took too long
	stream    context.Context    // selects the gRPC stream of responses
	stop      context.CancelFunc // ends the watch of responses

	upto         int64         // the last delivered revision
	heardAt      time.Time     // time of the last response
	progressed   bool          // the current watch has sent progress or changes
	beginTimeout time.Duration // for the next attempt to begin a watch
	dueAt        time.Time     // time of the next check, unless a response comes before
}

func newRangeWatch(w *Watch, keys Range) rangeWatch {
	return rangeWatch{watch: w, keys: keys, stop: func() {}, upto: w.After, heardAt: time.Now(), beginTimeout: w.Silence.beginTimeout()}
}

// beginWatch replaces the watch. It starts at the last delivered revision, not after it: etcd sends no progress to a
// watch that starts in the future, which the next revision is while nothing is written. The client returns from Watch
// once an etcd member has answered. If that takes too long there is no watch, and the next attempt goes to another
// member.
func (l *rangeWatch) beginWatch(ctx context.Context) {
	l.stop()
	ctx, l.stop = context.WithCancel(ctx)
	impatient := time.AfterFunc(min(l.beginTimeout, l.watch.Silence.Lost-time.Since(l.heardAt)), l.stop)
	l.stream, l.progressed = ownStream(ctx), false
	l.responses = l.watch.Client.Watch(l.stream, l.keys.From, l.watchOptions()...)
	if !impatient.Stop() {
		l.responses, l.beginTimeout = nil, 2*l.beginTimeout
	}
	l.scheduleCheck()
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

// ownStream returns a context that selects a gRPC stream with no other watch of the client. The client distinguishes
// streams by their metadata; a random number needs no counter shared by all users of a client.
func ownStream(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), "watch-stream", strconv.FormatUint(rand.Uint64(), 36))
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
	within, cancel := context.WithTimeout(l.stream, l.watch.Silence.Ask)
	defer cancel()
	_ = l.watch.Client.RequestProgress(within) // a failure has the same effect as silence
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
