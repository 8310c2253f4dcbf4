package eventlog

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// minListed is the smallest limit of a request to etcd. It is more than one transaction can create, so that the refs
// of a revision that the limit cuts in the middle can be left out and some remain.
const minListed = 256

// List returns the refs that a listing selects, in its order, at least one if there are any, and reports whether
// there may be more. It may return more or fewer than Limit: it never cuts a revision in the middle, so that the last
// ref is a position to continue from. Keys of no partition (ForeignKey) are left out.
//
// It reads keys only, linearizably. etcd's work grows with the number of events in the partition or the log, its
// answer with the limit.
func (l *Log) List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error) {
	for _, at := range []events.Revision{q.After, q.Upto} {
		if err := l.checkPosition(at); err != nil {
			return nil, false, err
		}
	}
	if q.Upto.Number <= q.After.Number {
		return nil, false, nil
	}
	upto, after := q.Upto.Number, q.After.Number
	for {
		found, revision, more, err := l.listOnce(ctx, q, after, upto)
		if err != nil {
			return nil, false, fmt.Errorf("listing events up to revision %d: %w", q.Upto.Number, err)
		}
		if len(found) > 0 || !more {
			return found, more, nil
		}
		if q.Newest { // all of these were foreign
			upto = revision - 1
		} else {
			after = revision
		}
	}
}

// listOnce sends etcd one request. It also returns the last revision that it covers completely.
func (l *Log) listOnce(ctx context.Context, q events.Listing, after, upto int64) (refs []events.Ref, last int64, more bool, err error) {
	prefix, order, limit := l.cfg.Root+"/"+events.QueuePrefix(l.cfg.ClusterID), clientv3.SortAscend, max(q.Limit, minListed)
	if q.HasPartition {
		prefix = l.partitionPrefix(q.Partition)
	}
	if q.Newest {
		order = clientv3.SortDescend
	}
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return l.kv.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithSort(clientv3.SortByModRevision, order),
			clientv3.WithLimit(int64(limit)), clientv3.WithMinModRev(after+1), clientv3.WithMaxModRev(upto))
	})
	if err != nil {
		return nil, 0, false, err
	}
	if err := l.checkHeader(resp.Header); err != nil {
		return nil, 0, false, err
	}
	kvs := resp.Kvs
	if resp.More { // the last revision may be cut
		cut := kvs[len(kvs)-1].ModRevision
		for len(kvs) > 0 && kvs[len(kvs)-1].ModRevision == cut {
			kvs = kvs[:len(kvs)-1]
		}
		if len(kvs) == 0 {
			return nil, 0, false, fmt.Errorf("more than %d events are of revision %d", limit-1, cut)
		}
	}
	for _, kv := range kvs {
		last = kv.ModRevision
		if _, foreign := events.ForeignKey(strings.TrimPrefix(string(kv.Key), l.cfg.Root+"/")); !foreign {
			refs = append(refs, events.Ref{Key: string(kv.Key), Revision: l.revisionAt(kv.ModRevision)})
		}
	}
	slices.SortFunc(refs, events.Ref.Compare)
	if q.Newest {
		slices.Reverse(refs)
	}
	return refs, last, resp.More, nil
}

// Fetch returns the events of refs, in the order of refs. A ref whose event is gone or was replaced is left out; a
// damaged event is returned with its Damage set. Values are read in bounded pages.
func (l *Log) Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		own := make([]ref, len(refs))
		for i, r := range refs {
			own[i] = ref{key: r.Key, revision: r.Revision.Number}
		}
		for page, err := range l.fetchPages(ctx, own) {
			if err != nil {
				yield(events.Event{}, fmt.Errorf("fetching %d events: %w", len(refs), err))
				return
			}
			for _, kv := range page {
				if !yield(l.eventOf(kv), nil) {
					return
				}
			}
		}
	}
}

// Get returns the event of a key as List and Read return it, or false if the log does not have it (any more).
func (l *Log) Get(ctx context.Context, key string) (events.Event, bool, error) {
	if !strings.HasPrefix(key, l.cfg.Root+"/"+events.QueuePrefix(l.cfg.ClusterID)) {
		return events.Event{}, false, nil
	}
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return l.kv.Get(ctx, key) })
	if err == nil {
		err = l.checkHeader(resp.Header)
	}
	if err != nil {
		return events.Event{}, false, fmt.Errorf("getting event %.200q: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return events.Event{}, false, nil
	}
	return l.eventOf(resp.Kvs[0]), true, nil
}
