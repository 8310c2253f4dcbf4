package events

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// silence is how long a watch may hear nothing: after ask (and up to as much again, so that the watches of
// one connection, which share an answer, do not all ask) it asks for progress, after lost it is given up.
type silence struct{ ask, lost time.Duration }

func silenceAfter(progress time.Duration) silence {
	return silence{ask: progress, lost: max(10*progress, 20*time.Second)}
}

func (s silence) pause() time.Duration { return s.ask + rand.N(s.ask) }

// pump moves what etcd says into q until the watch ends, and does nothing else: etcd's client buffers
// without bound for whoever is slow, so this never is. When q is full it ends, and the watch with it.
func (l *Log) pump(ctx context.Context, p Partition, upto int64, q *queue) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := l.watcher.Watch(ctx, l.prefix(p), watchOptions(upto)...)
	heard := time.Now()
	timer := time.NewTimer(l.silence.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			q.close(context.Cause(ctx))
			return
		case resp, ok := <-answers:
			if !ok {
				q.close(errClosed)
				return
			}
			a, err := l.arrived(&resp, upto)
			if err != nil {
				q.close(err)
				return
			}
			if a.upto > upto {
				upto = a.upto
				if !q.put(a) {
					return
				}
			}
			heard = time.Now()
		case <-timer.C:
			if quiet := time.Since(heard); quiet >= l.silence.lost {
				q.close(fmt.Errorf("%w (for %s)", ErrSilent, quiet.Round(time.Millisecond)))
				return
			}
			l.askProgress(ctx)
		}
		timer.Reset(l.silence.pause())
	}
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

// askProgress makes etcd tell how far the log is, if all watches of the connection are up to it. The answer
// comes as any other; that there is none is what silence is for.
func (l *Log) askProgress(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.silence.ask)
	defer cancel()
	_ = l.watcher.RequestProgress(ctx)
}

// arrived takes an answer of etcd apart. What the reader has (revisions up to upto) is left out.
func (l *Log) arrived(resp *clientv3.WatchResponse, upto int64) (arrival, error) {
	if resp.CompactRevision != 0 {
		return arrival{}, fmt.Errorf("%w (etcd has it from %d on)", ErrCompacted, resp.CompactRevision)
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
