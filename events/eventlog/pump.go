package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"telemetry-pipeline/events"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// silence is how long a watch may hear nothing: after ask (and up to as much again, so that not all ask at once) it
// asks for progress, after again it is made anew, after lost it is given up.
//
// Making it anew is for a member of etcd that answers nothing any more, which gRPC finds out much later, and for a
// connection that came back: etcd's client takes the watch up after the last progress it heard of, which in a quiet
// etcd is in the future, and to that etcd tells no progress.
type silence struct{ ask, again, lost time.Duration }

func silenceAfter(progress time.Duration) silence {
	return silence{ask: progress, again: 3 * progress, lost: max(10*progress, 20*time.Second)}
}

// patience is how long the first try to make one may take: the next takes twice that, so that a slow etcd is in time too.
func (s silence) patience() time.Duration { return max(s.ask, time.Second) }

// pump moves what etcd says into q until the watch ends, and does nothing else: etcd's client buffers
// without bound for whoever is slow, so this never is. When q is full it ends, and the watch with it.
type pump struct {
	log       *Log
	partition events.Partition
	q         *queue

	upto     int64 // of what q has
	heard    time.Time
	answers  clientv3.WatchChan // nil: the last try to begin a watch took too long
	stream   context.Context    // selects the stream of answers
	stop     context.CancelFunc // ends the watch of answers
	answered bool               // it has told progress or events
	patience time.Duration      // for the next try to begin a watch
}

// pump runs one for the events of p after upto, until ctx ends.
func (l *Log) pump(ctx context.Context, p events.Partition, upto int64, q *queue) {
	pm := pump{log: l, partition: p, q: q, upto: upto, heard: time.Now(), stop: func() {}, patience: l.silence.patience()}
	q.close(pm.run(ctx))
}

// run never ends without an error.
func (pm *pump) run(ctx context.Context) error {
	pm.watch(ctx)
	defer func() { pm.stop() }()
	timer := time.NewTimer(pm.pause())
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case resp, ok := <-pm.answers:
			if !ok {
				return cmp.Or(pm.lost(), errClosed)
			}
			err = pm.hear(&resp)
		case <-timer.C:
			err = pm.ask(ctx)
		}
		if err != nil {
			return err
		}
		timer.Reset(pm.pause())
	}
}

// watch begins a watch in place of the one there was. The client gives it once the member of etcd that it turned to
// answers; when that takes too long there is none, and the next try turns to another member.
func (pm *pump) watch(ctx context.Context) {
	pm.stop()
	l := pm.log
	ctx, pm.stop = context.WithCancel(ctx)
	impatient := time.AfterFunc(min(pm.patience, l.silence.lost-time.Since(pm.heard)), pm.stop)
	pm.stream, pm.answered = l.ownStream(ctx), false
	pm.answers = l.watcher.Watch(pm.stream, l.prefix(pm.partition), watchOptions(pm.upto)...)
	if !impatient.Stop() {
		pm.answers, pm.patience = nil, 2*pm.patience
	}
}

// pause is how long to wait for an answer.
func (pm *pump) pause() time.Duration {
	s, quiet := pm.log.silence, time.Since(pm.heard)
	switch {
	case pm.answers == nil:
		return minPause
	case pm.answered && quiet >= s.ask && quiet < s.again:
		return s.again - quiet
	}
	return s.ask + rand.N(s.ask)
}

// ownStream makes ctx select a stream that no other watch of the client is on. On a shared one, etcd's answer to a
// question for progress goes to every watch that the client knows by then: also to one that began after etcd had made
// the answer, and that still has to be told events from before it. Such a watch would take them for told.
func (l *Log) ownStream(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "log-watch", strconv.FormatInt(l.watches.Add(1), 10))
}

// hear puts what an answer brings into the queue.
func (pm *pump) hear(resp *clientv3.WatchResponse) error {
	a, err := pm.log.arrived(resp, pm.upto)
	if err != nil {
		return err
	}
	pm.heard, pm.answered, pm.patience = time.Now(), pm.answered || !resp.Created, pm.log.silence.patience()
	if a.upto > pm.upto {
		pm.upto = a.upto
		if !pm.q.put(a) {
			return events.ErrOverflow
		}
	}
	return nil
}

// ask deals with silence.
func (pm *pump) ask(ctx context.Context) error {
	if err := pm.lost(); err != nil {
		return err
	}
	if pm.answers == nil || pm.answered && time.Since(pm.heard) >= pm.log.silence.again {
		pm.watch(ctx)
	}
	if pm.answers != nil {
		pm.log.askProgress(pm.stream)
	}
	return nil
}

// lost gives the error of a silence that has lasted too long.
func (pm *pump) lost() error {
	quiet := time.Since(pm.heard)
	if quiet < pm.log.silence.lost {
		return nil
	}
	return fmt.Errorf("%w (for %s)", events.ErrSilent, quiet.Round(time.Millisecond))
}

// watchOptions are those of every watch on the log. It starts at the last revision that the reader has, not
// after it: etcd gives no progress to a watch that starts in the future, which it otherwise does while
// nothing is written.
func watchOptions(upto int64) []clientv3.OpOption {
	return []clientv3.OpOption{
		clientv3.WithPrefix(), clientv3.WithRev(max(upto, 1)),
		clientv3.WithProgressNotify(), clientv3.WithCreatedNotify(), clientv3.WithFragment(), clientv3.WithFilterDelete(),
	}
}

// askProgress makes etcd tell how far the log is, once the watch of a stream is up to it. The answer comes as any
// other; that there is none is what silence is for.
func (l *Log) askProgress(stream context.Context) {
	ctx, cancel := context.WithTimeout(stream, l.silence.ask)
	defer cancel()
	_ = l.watcher.RequestProgress(ctx)
}

// arrived takes an answer of etcd apart. What the reader has (revisions up to upto) is left out.
func (l *Log) arrived(resp *clientv3.WatchResponse, upto int64) (arrival, error) {
	if resp.CompactRevision != 0 {
		return arrival{}, fmt.Errorf("%w (etcd has it from %d on)", events.ErrCompacted, resp.CompactRevision)
	}
	if err := resp.Err(); err != nil {
		return arrival{}, fmt.Errorf("watching the log: %w", err)
	}
	if err := l.checkHeader(resp.Header); err != nil {
		return arrival{}, err
	}
	if resp.IsProgressNotify() {
		return arrival{upto: resp.Header.Revision}, nil
	}
	var a arrival
	for _, ev := range resp.Events {
		if ev.Kv.ModRevision <= upto {
			continue
		}
		a.kvs = append(a.kvs, ev.Kv)
		a.bytes += sizeOf(ev.Kv)
		a.upto = ev.Kv.ModRevision // they come in order of revision; the header's is that of the whole store
	}
	return a, nil
}

// sizeOf is about what an event takes while it waits.
func sizeOf(kv *mvccpb.KeyValue) int { return len(kv.Key) + len(kv.Value) + 128 }
