package snapshot

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// serial counts watches, so that each gets a stream of its own.
type serial struct{ n atomic.Int64 }

// ownStream makes ctx select a stream that no other watch of the client is on: what etcd tells of progress
// is then of this one alone, also while the client takes watches up again one after the other, and no other slow
// watch is in front of it. It also goes to whichever member of etcd is next.
func (s *serial) ownStream(ctx context.Context) context.Context {
	ctx = clientv3.WithRequireLeader(ctx)
	return metadata.AppendToOutgoingContext(ctx, "projections-watch", strconv.FormatInt(s.n.Add(1), 10))
}

// silentAgain is for how many times Config.Progress a watch that told something may tell nothing before it is made
// anew. It was asked for its progress after one of them.
//
// Making it anew is for a member that answers nothing any more, which gRPC finds out three times later, and for a
// connection that came back: etcd's client takes watches up after the last progress that they heard of, which in a
// quiet etcd is in the future, and to those etcd tells no progress.
const silentAgain = 2

// patience is how long the first try to begin a watch may take: the next takes twice that, so that a slow etcd is in
// time too.
func (s *Store) patience() time.Duration { return max(s.progress(), time.Second) }

// line is the watch of one source. The goroutine of the pump uses it.
type line struct {
	store     *Store
	from, end string
	answers   clientv3.WatchChan // nil: the last try to begin a watch took too long
	stream    context.Context    // selects the stream of answers
	stop      context.CancelFunc // ends the watch of answers
	told      bool               // it has told progress or changes

	upto     int64 // of what the queue has
	heard    time.Time
	patience time.Duration // for the next try to begin a watch
}

func (s *Store) line(from, end string, after int64) line {
	return line{store: s, from: from, end: end, stop: func() {}, upto: after, heard: time.Now(), patience: s.patience()}
}

// begin makes a watch in place of the one there was. It begins at the last revision that the queue has, not
// after it: etcd tells no progress to a watch that begins in the future. The client gives it once the member of etcd
// that it turned to answers; when that takes too long there is none, and the next try turns to another member.
func (l *line) begin(ctx context.Context) {
	l.stop()
	ctx, l.stop = context.WithCancel(ctx)
	l.stream, l.told = l.store.watches.ownStream(ctx), false
	impatient := time.AfterFunc(min(l.patience, l.store.lost()-time.Since(l.heard)), l.stop)
	l.answers = l.store.watcher.Watch(l.stream, l.from,
		clientv3.WithRange(l.end), clientv3.WithRev(max(l.upto, 1)),
		clientv3.WithProgressNotify(), clientv3.WithCreatedNotify(), clientv3.WithFragment())
	if !impatient.Stop() {
		l.answers, l.patience = nil, 2*l.patience
	}
}

func (l *line) hears(resp *clientv3.WatchResponse) {
	l.heard, l.told, l.patience = time.Now(), l.told || !resp.Created, l.store.patience()
}

// deaf tells whether the watch is to be made anew.
func (l *line) deaf() bool {
	return l.answers == nil || l.told && time.Since(l.heard) >= silentAgain*l.store.progress()
}

// ask asks for progress; that no answer comes is what silence is for.
func (l *line) ask() {
	if l.answers == nil {
		return
	}
	ctx, cancel := context.WithTimeout(l.stream, time.Second)
	defer cancel()
	_ = l.store.watcher.RequestProgress(ctx)
}
