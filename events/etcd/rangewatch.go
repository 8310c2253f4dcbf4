package etcd

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// rangeWatch is the watch of one range: one of etcd's watches after the other. The goroutine of Watch.Run uses it.
type rangeWatch struct {
	watch     *Watch
	keys      Range
	responses clientv3.WatchChan // nil: the last attempt to begin a watch took too long
	stream    context.Context    // selects the gRPC stream of responses
	stop      context.CancelFunc // ends the watch of responses

	upto         int64         // delivered up to here
	heardAt      time.Time     // of the last response
	progressed   bool          // the present watch has sent progress or changes
	beginTimeout time.Duration // for the next attempt to begin a watch
	dueAt        time.Time     // the line is checked then, unless a response comes before
}

func newRangeWatch(w *Watch, keys Range) rangeWatch {
	return rangeWatch{watch: w, keys: keys, stop: func() {}, upto: w.After, heardAt: time.Now(), beginTimeout: w.Silence.beginTimeout()}
}

// beginWatch replaces the watch. It starts at the last revision that was delivered, not after it: etcd sends no progress to a
// watch that starts in the future, which the next revision is while nothing is written. The client returns from Watch
// once a member of etcd has answered. When that takes too long there is no watch, and the next attempt goes to another
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

// ownStream returns a context that selects a gRPC stream which no other watch of the client is on. The client keeps
// streams by their metadata, so a random number is enough, without a count that all users of a client would share.
func ownStream(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(clientv3.WithRequireLeader(ctx), "watch-stream", strconv.FormatUint(rand.Uint64(), 36))
}

// noteResponse notes that a response came.
func (l *rangeWatch) noteResponse(now time.Time, resp *clientv3.WatchResponse) {
	l.heardAt, l.progressed, l.beginTimeout = now, l.progressed || !resp.Created, l.watch.Silence.beginTimeout()
	l.dueAt = now.Add(l.watch.Silence.checkPause(0, l.progressed))
}

// quietTime returns how long there has been no response.
func (l *rangeWatch) quietTime() time.Duration { return time.Since(l.heardAt) }

// isStalled reports whether the watch is to be replaced.
func (l *rangeWatch) isStalled() bool {
	return l.responses == nil || l.progressed && l.quietTime() >= l.watch.Silence.Again
}

// checkProgress replaces a stalled watch, and asks for progress. The answer comes as any other response; if none comes, the
// silence grows.
func (l *rangeWatch) checkProgress(ctx context.Context) {
	if l.isStalled() {
		l.beginWatch(ctx)
	}
	if l.responses == nil {
		return
	}
	within, cancel := context.WithTimeout(l.stream, l.watch.Silence.Ask)
	defer cancel()
	_ = l.watch.Client.RequestProgress(within) // a failure shows as silence
	l.scheduleCheck()
}

// scheduleCheck sets the time of the next check.
func (l *rangeWatch) scheduleCheck() {
	pause := minPause // begin takes its time
	if l.responses != nil {
		pause = l.watch.Silence.checkPause(l.quietTime(), l.progressed)
	}
	l.dueAt = time.Now().Add(pause)
}
