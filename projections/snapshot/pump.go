package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

// How soon etcd is asked for its progress once one source is ahead of the other; without an answer the
// pause doubles.
const (
	minUneven = 2 * time.Millisecond
	maxUneven = 64 * time.Millisecond
)

// A watch that hears nothing for silentLost times Config.Progress, or minLost, is given up.
const (
	silentLost  = 10
	minLost     = 20 * time.Second
	headTimeout = 5 * time.Second
)

// pump moves what etcd says of both sources into q until one of them ends. It does nothing else, because
// etcd's client buffers without bound for whoever is slow.
type pump struct {
	store *Store
	q     *queue
	lines [sources]line

	askAt time.Time     // when etcd is asked for its progress, unless something comes that makes it needless
	pause time.Duration // between asking while one source is ahead of the other; 0 while none is
}

// pump runs one after a revision, until ctx ends.
func (s *Store) pump(ctx context.Context, g projections.Generation, after int64, q *queue) {
	models, end := s.keys.models(g)
	offsets := s.keys.offsets(g)
	pm := pump{store: s, q: q, lines: [sources]line{
		fromModels:  s.line(models, end, after),
		fromOffsets: s.line(offsets, endOf(offsets), after),
	}}
	q.close(pm.run(ctx))
}

// run never ends without an error.
func (pm *pump) run(ctx context.Context) error {
	models, offsets := &pm.lines[fromModels], &pm.lines[fromOffsets]
	models.begin(ctx)
	offsets.begin(ctx)
	defer func() { models.stop(); offsets.stop() }()
	pm.askAt = pm.nextAsk()
	timer := time.NewTimer(time.Until(pm.askAt))
	defer timer.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case resp, open := <-models.answers:
			err = pm.hear(ctx, fromModels, &resp, open)
		case resp, open := <-offsets.answers:
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

// hear puts what an answer brings into the queue.
func (pm *pump) hear(ctx context.Context, from source, resp *clientv3.WatchResponse, open bool) error {
	if !open {
		return cmp.Or(pm.silent(), errClosed)
	}
	l := &pm.lines[from]
	l.hears(resp)
	if err := pm.check(ctx, resp); err != nil {
		return err
	}
	a := arrival{source: from, upto: l.upto}
	if resp.IsProgressNotify() {
		a.upto = max(a.upto, resp.Header.Revision)
	}
	for _, ev := range resp.Events {
		if ev.Kv.ModRevision > l.upto { // else the reader has it
			a.changes = append(a.changes, ev)
			a.upto = ev.Kv.ModRevision // they come in order; the header's revision is that of the whole store
		}
	}
	if a.upto == l.upto && !resp.IsProgressNotify() {
		return nil
	}
	l.upto = a.upto
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
	if upto := min(pm.lines[fromModels].upto, pm.lines[fromOffsets].upto); resp.Created && resp.Header.Revision < upto {
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
	case pm.lines[fromModels].upto == pm.lines[fromOffsets].upto:
		pm.askAt, pm.pause = pm.nextAsk(), 0
	case pm.pause == 0 || answered:
		pm.askAt, pm.pause = time.Now().Add(minUneven), minUneven
	}
}

// ask makes etcd tell how far it is; the answer comes to each source once that has caught up. A source that has
// stopped answering gets another watch.
func (pm *pump) ask(ctx context.Context) error {
	if err := pm.silent(); err != nil {
		return err
	}
	for i := range pm.lines {
		if l := &pm.lines[i]; l.deaf() {
			l.begin(ctx)
		}
	}
	pm.pause = min(2*pm.pause, maxUneven)
	pm.askAt = pm.nextAsk()
	for i := range pm.lines {
		pm.lines[i].ask()
	}
	return nil
}

// nextAsk is when etcd is asked next if nothing comes.
func (pm *pump) nextAsk() time.Time {
	for i := range pm.lines {
		if pm.lines[i].answers == nil {
			return time.Now().Add(minUneven) // begin is what takes time
		}
	}
	return time.Now().Add(cmp.Or(pm.pause, pm.store.progress()))
}

// silent gives the error of a silence that has lasted too long.
func (pm *pump) silent() error {
	for i := range pm.lines {
		if quiet := time.Since(pm.lines[i].heard); quiet >= pm.store.lost() {
			return fmt.Errorf("%w (for %s)", ErrSilent, quiet.Round(time.Millisecond))
		}
	}
	return nil
}

func (s *Store) lost() time.Duration { return max(silentLost*s.progress(), minLost) }

func (s *Store) progress() time.Duration {
	return cmp.Or(s.cfg.Progress, eventlog.DefaultProgress)
}
