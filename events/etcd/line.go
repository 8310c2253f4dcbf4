package etcd

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// line is the watch of one range: one of etcd's watches after the other. The goroutine of Watch.Run uses it.
type line struct {
	watch     *Watch
	keys      Range
	responses clientv3.WatchChan // nil: the last attempt to begin a watch took too long
	stream    context.Context    // selects the gRPC stream of responses
	stop      context.CancelFunc // ends the watch of responses

	upto       int64         // delivered up to here
	heard      time.Time     // of the last response
	progressed bool          // the present watch has sent progress or changes
	patience   time.Duration // for the next attempt to begin a watch
	due        time.Time     // the line is checked then, unless a response comes before
}

func newLine(w *Watch, keys Range) line {
	return line{watch: w, keys: keys, stop: func() {}, upto: w.After, heard: time.Now(), patience: w.Silence.patience()}
}

// begin replaces the watch. It starts at the last revision that was delivered, not after it: etcd sends no progress to a
// watch that starts in the future, which the next revision is while nothing is written. The client returns from Watch
// once a member of etcd has answered. When that takes too long there is no watch, and the next attempt goes to another
// member.
func (l *line) begin(ctx context.Context) {
	l.stop()
	ctx, l.stop = context.WithCancel(ctx)
	impatient := time.AfterFunc(min(l.patience, l.watch.Silence.Lost-time.Since(l.heard)), l.stop)
	l.stream, l.progressed = ownStream(ctx), false
	l.responses = l.watch.Client.Watch(l.stream, l.keys.From, l.options()...)
	if !impatient.Stop() {
		l.responses, l.patience = nil, 2*l.patience
	}
	l.schedule()
}

func (l *line) options() []clientv3.OpOption {
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

// hear notes that a response came.
func (l *line) hear(now time.Time, resp *clientv3.WatchResponse) {
	l.heard, l.progressed, l.patience = now, l.progressed || !resp.Created, l.watch.Silence.patience()
	l.due = now.Add(l.watch.Silence.pause(0, l.progressed))
}

// quiet returns how long there has been no response.
func (l *line) quiet() time.Duration { return time.Since(l.heard) }

// stalled reports whether the watch is to be replaced.
func (l *line) stalled() bool {
	return l.responses == nil || l.progressed && l.quiet() >= l.watch.Silence.Again
}

// check replaces a stalled watch, and asks for progress. The answer comes as any other response; if none comes, the
// silence grows.
func (l *line) check(ctx context.Context) {
	if l.stalled() {
		l.begin(ctx)
	}
	if l.responses == nil {
		return
	}
	within, cancel := context.WithTimeout(l.stream, l.watch.Silence.Ask)
	defer cancel()
	_ = l.watch.Client.RequestProgress(within) // a failure shows as silence
	l.schedule()
}

// schedule sets the time of the next check.
func (l *line) schedule() {
	pause := minPause // begin takes its time
	if l.responses != nil {
		pause = l.watch.Silence.pause(l.quiet(), l.progressed)
	}
	l.due = time.Now().Add(pause)
}
