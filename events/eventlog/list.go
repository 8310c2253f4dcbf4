package eventlog

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// leastListed is the least that etcd is asked for: more than one transaction can have created, so that the refs of
// a revision that a limit cut in the middle can be left out and some remain.
const leastListed = 256

// List gives at least one of the refs that a listing is about, in its order, if there are any, and tells whether
// there may be more. Whether about Limit or more are given is for List to say: a revision is never cut in the
// middle, so that its last ref is a place to go on from. Keys of no partition (ForeignKey) are left out.
//
// It reads keys only, linearizably. What etcd does follows the number of events in the partition or the log, what it
// sends the limit.
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
		found, revision, more, err := l.listed(ctx, q, after, upto)
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

// listed asks etcd once. It also tells the last revision of those that it looked at in full.
func (l *Log) listed(ctx context.Context, q events.Listing, after, upto int64) (refs []events.Ref, last int64, more bool, err error) {
	prefix, order, limit := l.cfg.Root+"/"+events.QueuePrefix(l.cfg.ClusterID), clientv3.SortAscend, max(q.Limit, leastListed)
	if q.HasPartition {
		prefix = l.prefix(q.Partition)
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
			refs = append(refs, events.Ref{Key: string(kv.Key), Revision: l.at(kv.ModRevision)})
		}
	}
	slices.SortFunc(refs, events.Ref.Compare)
	if q.Newest {
		slices.Reverse(refs)
	}
	return refs, last, resp.More, nil
}

// Fetch gives the events that refs name, in the order of refs. One that is gone, or is another by now, is left out; a
// damaged one is given with its Damage set. Values are read in bounded pages.
func (l *Log) Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		own := make([]ref, len(refs))
		for i, r := range refs {
			own[i] = ref{key: r.Key, revision: r.Revision.Number}
		}
		for page, err := range l.pages(ctx, own) {
			if err != nil {
				yield(events.Event{}, fmt.Errorf("fetching %d events: %w", len(refs), err))
				return
			}
			for _, kv := range page {
				if !yield(l.event(kv), nil) {
					return
				}
			}
		}
	}
}

// Get gives the event of a key as List and Read give them; false when the log does not have it (any more).
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
	return l.event(resp.Kvs[0]), true, nil
}
