package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

// Watch follows live, identity and offsets of a generation after a position, such as that of a Load.
// Batches are whole transactions, one each, in order of their position; one without changes is progress:
// nothing up to its position will come any more. So a reader may always go on from the last position that
// it was given. Progress comes every few Config.Progress at least, with the same position again while
// nothing is written: etcd is there, and there is no more.
//
// The sequence ends with an error; events.ErrCompacted, events.ErrOverflow (the reader was too slow for
// Config.WatchBytes) and events.ErrForeign (etcd is another one, or was set back) mean Load again; after
// others, Watch on from the last position. A host is Removed when one of its keys was deleted and none
// written. A value that cannot be read is reported and left out. Leaving the sequence ends the watch, and
// its goroutine has ended by then.
func (s *Store) Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		give := func(b projections.Batch) bool { return yield(b, nil) }
		if err := s.watch(ctx, g, after, give); err != nil {
			yield(projections.Batch{}, fmt.Errorf("generation %s: %w", g, err))
		}
	}
}

// watch ends with an error, or without one when give returned false.
func (s *Store) watch(ctx context.Context, g projections.Generation, after events.Revision, give func(projections.Batch) bool) error {
	if !s.ours(after) {
		return fmt.Errorf("watching projections after %v: %w", after, events.ErrForeign)
	}
	q := etcd.NewQueue(cmp.Or(s.cfg.WatchBytes, eventlog.DefaultWatchBytes))
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { s.pump(ctx, g, after.Number, q) })
	m := merger{upto: [sources]int64{after.Number, after.Number}, given: after.Number}
	for {
		arrived, err := q.All(ctx)
		if err != nil {
			return err
		}
		for _, r := range arrived {
			m.add(r)
		}
		for rev, changes := range m.complete() {
			if !give(s.batch(g, rev, changes)) {
				return nil
			}
			q.Release(changes.sizes())
		}
	}
}

// batch decodes the changes of one revision.
func (s *Store) batch(g projections.Generation, rev int64, c changes) projections.Batch {
	b := projections.Batch{At: s.at(rev)}
	hosts := make(map[events.HostID]*projections.Stored)
	for _, ev := range slices.Concat(c[:]...) {
		if err := s.putChange(&b, hosts, g, ev); err != nil {
			s.lg.Error("leaving out a damaged projection", "err", err)
		}
	}
	if len(hosts) > 0 {
		b.Hosts = sorted(hosts)
	}
	for i := range b.Hosts {
		h := &b.Hosts[i]
		h.Removed = h.Removed && h.Live == nil && h.Identity == nil
	}
	return b
}

func (s *Store) putChange(b *projections.Batch, hosts map[events.HostID]*projections.Stored, g projections.Generation, ev *clientv3.Event) error {
	deleted := ev.Type == clientv3.EventTypeDelete
	if _, err := s.keys.parseOffset(g, string(ev.Kv.Key)); err == nil {
		if deleted {
			return nil
		}
		if b.Offsets == nil {
			b.Offsets = make(map[events.Partition]projections.Offsets)
		}
		return s.putOffsets(b.Offsets, g, ev.Kv)
	}
	if !deleted {
		return s.putModel(hosts, g, ev.Kv)
	}
	_, p, host, err := s.keys.parseModel(g, string(ev.Kv.Key))
	if err != nil {
		return &DamagedError{Key: string(ev.Kv.Key), Err: err}
	}
	storedOf(hosts, p, host).Removed = true
	return nil
}

// merger unites the two ranges of a Watch in order of revision. A revision is given out only once both ranges have been
// watched up to it: then a batch is a whole transaction, and everything up to its position has been given.
type merger struct {
	waiting [sources][]*clientv3.Event
	upto    [sources]int64
	given   int64
	alive   bool // something came since the last batch
}

func (m *merger) add(r etcd.Response) {
	m.waiting[r.Range] = append(m.waiting[r.Range], r.Events...)
	m.upto[r.Range], m.alive = r.Upto, true
}

// complete returns the changes of each revision that both ranges have been watched up to, and at last, without changes,
// the position that both have reached, when that is further, or when there was nothing else.
func (m *merger) complete() iter.Seq2[int64, changes] {
	reached := min(m.upto[fromModels], m.upto[fromOffsets])
	return func(yield func(int64, changes) bool) {
		for rev := m.next(); rev <= reached; rev = m.next() {
			m.given, m.alive = rev, false
			if !yield(rev, m.take(rev)) {
				return
			}
		}
		if m.given < reached || m.alive && m.even() {
			m.given, m.alive = reached, false
			yield(reached, changes{})
		}
	}
}

// even reports whether neither range is ahead of the other.
func (m *merger) even() bool { return m.upto[fromModels] == m.upto[fromOffsets] }

// next is the lowest revision that waits, or one that is never reached.
func (m *merger) next() int64 {
	lowest := int64(1<<63 - 1)
	for _, waiting := range m.waiting {
		if len(waiting) > 0 {
			lowest = min(lowest, waiting[0].Kv.ModRevision)
		}
	}
	return lowest
}

// take removes the changes of a revision.
func (m *merger) take(rev int64) (c changes) {
	for i := range m.waiting {
		n := 0
		for n < len(m.waiting[i]) && m.waiting[i][n].Kv.ModRevision == rev {
			n++
		}
		c[i], m.waiting[i] = m.waiting[i][:n], m.waiting[i][n:]
	}
	return c
}
