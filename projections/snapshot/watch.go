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

// Watch follows live, identity and offsets of a generation after a position, such as the position of a Load. Batches
// are whole transactions, one each, in order of their position; a batch without changes is progress: no change up to
// its position will follow. So a reader may always continue from its last position. Progress comes at least every few
// Config.Progress, with the same position again while nothing is written: etcd is there, and there are no more
// changes.
//
// The sequence ends with an error. After events.ErrCompacted, events.ErrOverflow (the reader was too slow for
// Config.WatchBytes) and events.ErrForeign (etcd is another one, or was set back) call Load again; after others,
// Watch from the last position. projections.ErrRemoved means that the generation was replaced and that nothing more can be read of it.
// A host is Removed when one of its keys was deleted and none written. A value that cannot be read is logged and listed
// as Unreadable. Leaving the sequence ends the watch, and its goroutine has ended by then.
func (s *Store) Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		deliver := func(b projections.Batch) bool { return yield(b, nil) }
		if err := s.watchGeneration(ctx, g, after, deliver); err != nil {
			yield(projections.Batch{}, fmt.Errorf("generation %s: %w", g, err))
		}
	}
}

// watchGeneration ends with an error, or without one when deliver returned false.
func (s *Store) watchGeneration(ctx context.Context, g projections.Generation, after events.Revision, deliver func(projections.Batch) bool) error {
	if !s.isOwnRevision(after) {
		return fmt.Errorf("watching projections after %v: %w", after, events.ErrForeign)
	}
	q := etcd.NewQueue(cmp.Or(s.cfg.WatchBytes, eventlog.DefaultWatchBytes))
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { s.pumpChanges(ctx, g, after.Number, q) })
	m := rangeMerger{upto: [sources]int64{after.Number, after.Number}, delivered: after.Number}
	for {
		arrived, err := q.All(ctx)
		if err != nil {
			return err
		}
		for _, r := range arrived {
			m.addResponse(r)
		}
		for rev, changes := range m.completeRevisions() {
			b, err := s.decodeBatch(g, rev, changes)
			if err != nil {
				return err
			}
			if !deliver(b) {
				return nil
			}
			q.Release(changes.queuedBytes())
		}
	}
}

// decodeBatch returns the batch of one revision, or projections.ErrRemoved if the removal of the generation began there.
func (s *Store) decodeBatch(g projections.Generation, rev int64, c changes) (projections.Batch, error) {
	b := projections.Batch{At: s.revisionAt(rev)}
	hosts := make(map[events.HostID]*projections.Stored)
	for _, ev := range slices.Concat(c[:]...) {
		if err := s.putChange(&b, hosts, g, ev); err != nil {
			return b, err
		}
	}
	s.logUnreadable(b.Unreadable)
	if len(hosts) > 0 {
		b.Hosts = sortHosts(hosts)
	}
	for i := range b.Hosts {
		h := &b.Hosts[i]
		h.Removed = h.Removed && h.Live == nil && h.Identity == nil
	}
	return b, nil
}

// putChange adds a change to a batch and its hosts. Only a removal deletes offsets.
func (s *Store) putChange(b *projections.Batch, hosts map[events.HostID]*projections.Stored, g projections.Generation, ev *clientv3.Event) error {
	key, deleted := string(ev.Kv.Key), ev.Type == clientv3.EventTypeDelete
	if p, err := s.keys.parseOffset(g, key); err == nil {
		if deleted {
			return projections.ErrRemoved
		}
		if from := traceOf(ev.Kv.Value); !from.IsZero() {
			b.Trace = from
		}
		if b.Offsets == nil {
			b.Offsets = make(map[events.Partition]projections.Offsets)
		}
		if err := s.putOffsets(b.Offsets, g, ev.Kv); err != nil {
			b.Unreadable = append(b.Unreadable, projections.Unreadable{Key: key, Kind: "offsets", Partition: p, Err: err})
		}
		return nil
	}
	if !deleted {
		u := s.putModel(hosts, g, ev.Kv)
		if u != nil {
			b.Unreadable = append(b.Unreadable, *u)
		} else if b.Upload == "" {
			b.Upload = uploadOf(ev.Kv.Value)
		}
		return nil
	}
	_, p, host, err := s.keys.parseModel(g, key)
	if err != nil {
		return nil // the key was not in the view
	}
	storedOf(hosts, p, host).Removed = true
	return nil
}

// rangeMerger merges the two ranges of a Watch in order of revision. It delivers a revision only once both ranges
// have been watched up to it: then a batch is a whole transaction, and everything up to its position has been
// delivered.
type rangeMerger struct {
	waiting   [sources][]*clientv3.Event
	upto      [sources]int64
	delivered int64
	received  bool // something arrived since the last batch
}

func (m *rangeMerger) addResponse(r etcd.Response) {
	m.waiting[r.Range] = append(m.waiting[r.Range], r.Events...)
	m.upto[r.Range], m.received = r.Upto, true
}

// completeRevisions returns the changes of each revision that both ranges have been watched up to, and last, without
// changes, the position that both have reached, if it is further, or if there was nothing else.
func (m *rangeMerger) completeRevisions() iter.Seq2[int64, changes] {
	reached := min(m.upto[fromModels], m.upto[fromOffsets])
	return func(yield func(int64, changes) bool) {
		for rev := m.lowestWaiting(); rev <= reached; rev = m.lowestWaiting() {
			m.delivered, m.received = rev, false
			if !yield(rev, m.takeRevision(rev)) {
				return
			}
		}
		if m.delivered < reached || m.received && m.rangesEven() {
			m.delivered, m.received = reached, false
			yield(reached, changes{})
		}
	}
}

// rangesEven reports whether neither range is ahead of the other.
func (m *rangeMerger) rangesEven() bool { return m.upto[fromModels] == m.upto[fromOffsets] }

// lowestWaiting returns the lowest waiting revision, or one that is never reached.
func (m *rangeMerger) lowestWaiting() int64 {
	lowest := int64(1<<63 - 1)
	for _, waiting := range m.waiting {
		if len(waiting) > 0 {
			lowest = min(lowest, waiting[0].Kv.ModRevision)
		}
	}
	return lowest
}

// takeRevision removes and returns the changes of a revision.
func (m *rangeMerger) takeRevision(rev int64) (c changes) {
	for i := range m.waiting {
		n := 0
		for n < len(m.waiting[i]) && m.waiting[i][n].Kv.ModRevision == rev {
			n++
		}
		c[i], m.waiting[i] = m.waiting[i][:n], m.waiting[i][n:]
	}
	return c
}
