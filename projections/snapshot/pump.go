package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// serial counts watches, so that each gets a stream of its own.
type serial struct{ n atomic.Int64 }

// ownStream makes ctx select a stream that no other watch of the client is on: what etcd tells of progress
// then depends on this one's watches alone, and no other slow watch is in front of it.
func (s *serial) ownStream(ctx context.Context) context.Context {
	ctx = clientv3.WithRequireLeader(ctx)
	return metadata.AppendToOutgoingContext(ctx, "projections-watch", strconv.FormatInt(s.n.Add(1), 10))
}

// How soon etcd is asked for its progress once one source is ahead of the other; without an answer the
// pause doubles.
const (
	minUneven = 2 * time.Millisecond
	maxUneven = 64 * time.Millisecond
)

// pump moves what etcd says of both sources into q until one of them ends. It does nothing else, because
// etcd's client buffers without bound for whoever is slow.
type pump struct {
	store *Store
	q     *queue
	upto  [sources]int64
	heard time.Time
	askAt time.Time     // when etcd is asked for its progress, unless something comes that makes it needless
	pause time.Duration // between asking while one source is ahead of the other; 0 while none is
}

func (pm *pump) run(ctx context.Context, g projections.Generation, after int64) {
	ctx, cancel := context.WithCancel(pm.store.watches.ownStream(ctx))
	defer cancel()
	pm.upto, pm.heard = [sources]int64{after, after}, time.Now()
	models, offsets := pm.start(ctx, g, after)
	pm.askAt = pm.heard.Add(pm.store.progress())
	timer := time.NewTimer(time.Until(pm.askAt))
	defer timer.Stop()
	for {
		var resp clientv3.WatchResponse
		var open bool
		var from source
		select {
		case <-ctx.Done():
			pm.q.close(context.Cause(ctx))
			return
		case resp, open = <-models:
			from = fromModels
		case resp, open = <-offsets:
			from = fromOffsets
		case <-timer.C:
			if err := pm.ask(ctx); err != nil {
				pm.q.close(err)
				return
			}
			timer.Reset(time.Until(pm.askAt))
			continue
		}
		if !open {
			pm.q.close(fmt.Errorf("watching projections: etcd client closed"))
			return
		}
		if err := pm.hear(from, &resp); err != nil {
			pm.q.close(err)
			return
		}
		timer.Reset(time.Until(pm.askAt))
	}
}

// start opens both watches. They begin at the last revision that the reader has, not after it: etcd tells
// no progress to a watch that begins in the future.
func (pm *pump) start(ctx context.Context, g projections.Generation, after int64) (models, offsets clientv3.WatchChan) {
	opts := func(end string) []clientv3.OpOption {
		return []clientv3.OpOption{
			clientv3.WithRange(end), clientv3.WithRev(max(after, 1)),
			clientv3.WithProgressNotify(), clientv3.WithCreatedNotify(), clientv3.WithFragment(),
		}
	}
	from, end := pm.store.keys.models(g)
	models = pm.store.watcher.Watch(ctx, from, opts(end)...)
	from = pm.store.keys.offsets(g)
	offsets = pm.store.watcher.Watch(ctx, from, opts(endOf(from))...)
	return models, offsets
}

// hear puts what an answer brings into the queue.
func (pm *pump) hear(from source, resp *clientv3.WatchResponse) error {
	pm.heard = time.Now()
	if err := pm.check(resp); err != nil {
		return err
	}
	a := arrival{source: from, upto: pm.upto[from]}
	if resp.IsProgressNotify() {
		a.upto = max(a.upto, resp.Header.Revision)
	}
	for _, ev := range resp.Events {
		if ev.Kv.ModRevision > pm.upto[from] { // else the reader has it
			a.changes = append(a.changes, ev)
			a.upto = ev.Kv.ModRevision // they come in order; the header's revision is that of the whole store
		}
	}
	if a.upto == pm.upto[from] && !resp.IsProgressNotify() {
		return nil
	}
	pm.upto[from] = a.upto
	pm.schedule(resp.IsProgressNotify())
	if !pm.q.put(a) {
		pm.store.metrics.overflows.Inc()
		return events.ErrOverflow
	}
	return nil
}

func (pm *pump) check(resp *clientv3.WatchResponse) error {
	if resp.CompactRevision != 0 {
		return fmt.Errorf("%w (etcd has it from %d on)", events.ErrCompacted, resp.CompactRevision)
	}
	if err := resp.Err(); err != nil {
		return fmt.Errorf("watching projections: %w", err)
	}
	if h := resp.Header; h != nil && pm.store.facts.Cluster != h.ClusterId {
		return fmt.Errorf("watching projections: etcd cluster is now %x: %w", h.ClusterId, events.ErrForeign)
	}
	if resp.Created && resp.Header.Revision < min(pm.upto[fromModels], pm.upto[fromOffsets]) {
		return fmt.Errorf("watching projections: etcd went back to revision %d: %w", resp.Header.Revision, events.ErrForeign)
	}
	return nil
}

// schedule tells when to ask for progress: soon after one source got ahead of the other, however much comes
// meanwhile, else when it has been quiet.
func (pm *pump) schedule(answered bool) {
	switch {
	case pm.upto[fromModels] == pm.upto[fromOffsets]:
		pm.askAt, pm.pause = pm.heard.Add(pm.store.progress()), 0
	case pm.pause == 0 || answered:
		pm.askAt, pm.pause = pm.heard.Add(minUneven), minUneven
	}
}

// ask makes etcd tell how far it is; the answer comes to both sources once both have caught up.
func (pm *pump) ask(ctx context.Context) error {
	quiet := time.Since(pm.heard)
	if quiet > max(10*pm.store.progress(), 20*time.Second) {
		return fmt.Errorf("%w (for %s)", ErrSilent, quiet.Round(time.Millisecond))
	}
	if pm.pause = min(2*pm.pause, maxUneven); pm.pause > 0 {
		pm.askAt = time.Now().Add(pm.pause)
	} else {
		pm.askAt = time.Now().Add(pm.store.progress())
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = pm.store.watcher.RequestProgress(ctx) // no answer is told by silence
	return nil
}

func (s *Store) progress() time.Duration {
	return cmp.Or(s.cfg.Progress, events.DefaultProgress)
}
