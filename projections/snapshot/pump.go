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
// is then of this one alone, also while the client takes watches up again one after the other, and no other slow
// watch is in front of it.
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

// Silence: a watch that told something and then nothing for so many times Config.Progress is made anew, and one
// that told nothing for longer is given up.
//
// Making it anew is for a connection that came back: etcd's client takes watches up after the last progress that
// they heard of, which in a quiet etcd is in the future, and to those etcd tells no progress.
const (
	silentAgain = 3
	silentLost  = 10
	minLost     = 20 * time.Second
	headTimeout = 5 * time.Second
)

// pump moves what etcd says of both sources into q until one of them ends. It does nothing else, because
// etcd's client buffers without bound for whoever is slow.
type pump struct {
	store   *Store
	q       *queue
	g       projections.Generation
	answers [sources]clientv3.WatchChan
	streams [sources]context.Context // select the streams of answers
	stop    context.CancelFunc       // ends the watches of answers
	told    bool                     // they have told progress or changes

	upto  [sources]int64
	heard time.Time
	askAt time.Time     // when etcd is asked for its progress, unless something comes that makes it needless
	pause time.Duration // between asking while one source is ahead of the other; 0 while none is
}

// pump runs one after a revision, until ctx ends.
func (s *Store) pump(ctx context.Context, g projections.Generation, after int64, q *queue) {
	pm := pump{store: s, q: q, g: g, upto: [sources]int64{after, after}, heard: time.Now(), stop: func() {}}
	q.close(pm.run(ctx))
}

// run never ends without an error.
func (pm *pump) run(ctx context.Context) error {
	pm.watch(ctx)
	defer func() { pm.stop() }()
	pm.askAt = pm.heard.Add(pm.store.progress())
	timer := time.NewTimer(time.Until(pm.askAt))
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case resp, open := <-pm.answers[fromModels]:
			err = pm.hear(ctx, fromModels, &resp, open)
		case resp, open := <-pm.answers[fromOffsets]:
			err = pm.hear(ctx, fromOffsets, &resp, open)
		case <-timer.C:
			err = pm.ask(ctx)
		}
		if err != nil {
			return err
		}
		timer.Reset(time.Until(pm.askAt))
	}
}

// watch begins both watches, in place of those there were. They begin at the last revision that the queue has,
// not after it: etcd tells no progress to a watch that begins in the future. The client gives them once etcd
// answers; when that takes too long, they are ones that have ended.
func (pm *pump) watch(ctx context.Context) {
	pm.stop()
	ctx, pm.stop = context.WithCancel(ctx)
	impatient := time.AfterFunc(pm.store.lost()-time.Since(pm.heard), pm.stop)
	defer impatient.Stop()
	start := func(of source, from, end string) {
		pm.streams[of] = pm.store.watches.ownStream(ctx)
		pm.answers[of] = pm.store.watcher.Watch(pm.streams[of], from,
			clientv3.WithRange(end), clientv3.WithRev(max(pm.upto[of], 1)),
			clientv3.WithProgressNotify(), clientv3.WithCreatedNotify(), clientv3.WithFragment())
	}
	from, end := pm.store.keys.models(pm.g)
	start(fromModels, from, end)
	from = pm.store.keys.offsets(pm.g)
	start(fromOffsets, from, endOf(from))
	pm.told = false
}

// hear puts what an answer brings into the queue.
func (pm *pump) hear(ctx context.Context, from source, resp *clientv3.WatchResponse, open bool) error {
	if !open {
		return cmp.Or(pm.silent(), errClosed)
	}
	pm.heard, pm.told = time.Now(), pm.told || !resp.Created
	if err := pm.check(ctx, resp); err != nil {
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

func (pm *pump) check(ctx context.Context, resp *clientv3.WatchResponse) error {
	if resp.CompactRevision != 0 {
		return fmt.Errorf("%w (etcd has it from %d on)", events.ErrCompacted, resp.CompactRevision)
	}
	if err := resp.Err(); err != nil {
		return fmt.Errorf("watching projections: %w", err)
	}
	if h := resp.Header; h != nil && pm.store.facts.Cluster != h.ClusterId {
		return fmt.Errorf("watching projections: etcd cluster is now %x: %w", h.ClusterId, events.ErrForeign)
	}
	if upto := min(pm.upto[fromModels], pm.upto[fromOffsets]); resp.Created && resp.Header.Revision < upto {
		return pm.checkHead(ctx, upto)
	}
	return nil
}

// checkHead tells an etcd that was set back from a member of it that lags: that will get there.
func (pm *pump) checkHead(ctx context.Context, upto int64) error {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	_, head, err := pm.store.get(ctx, pm.store.keys.active())
	if err != nil {
		return fmt.Errorf("watching projections: asking for etcd's revision: %w", err)
	}
	if head < upto {
		return fmt.Errorf("watching projections: etcd went back to revision %d: %w", head, events.ErrForeign)
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

// ask makes etcd tell how far it is; the answer comes to each source once that has caught up.
func (pm *pump) ask(ctx context.Context) error {
	if err := pm.silent(); err != nil {
		return err
	}
	if pm.told && time.Since(pm.heard) >= silentAgain*pm.store.progress() {
		pm.watch(ctx)
	}
	if pm.pause = min(2*pm.pause, maxUneven); pm.pause > 0 {
		pm.askAt = time.Now().Add(pm.pause)
	} else {
		pm.askAt = time.Now().Add(pm.store.progress())
	}
	for _, stream := range pm.streams {
		ctx, cancel := context.WithTimeout(stream, time.Second)
		_ = pm.store.watcher.RequestProgress(ctx) // no answer is told by silence
		cancel()
	}
	return nil
}

// silent gives the error of a silence that has lasted too long.
func (pm *pump) silent() error {
	quiet := time.Since(pm.heard)
	if quiet < pm.store.lost() {
		return nil
	}
	return fmt.Errorf("%w (for %s)", ErrSilent, quiet.Round(time.Millisecond))
}

func (s *Store) lost() time.Duration { return max(silentLost*s.progress(), minLost) }

func (s *Store) progress() time.Duration {
	return cmp.Or(s.cfg.Progress, events.DefaultProgress)
}
