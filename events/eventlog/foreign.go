package eventlog

import (
	"context"
	"fmt"
	"iter"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// Foreign is a value by a producer that follows the older layout: its key is in the log's queue, but in no partition
// (ForeignKey).
type Foreign struct {
	events.Ref
	Name  string // the key behind the queue's prefix, such as 1752871354_host_0_1
	Value []byte
}

// Foreign lists foreign keys after the key after ("" is the beginning) in order of key: at least one if there are
// any, and at most about limit. more reports whether there may be others behind them; waiting is the number of keys
// behind that key, as far as etcd was asked.
//
// It reads keys only, linearizably, and only where foreign keys are: between the partitions and behind them. So its
// cost does not grow with the number of events.
func (l *Log) Foreign(ctx context.Context, after string, limit int) (refs []events.Ref, waiting int64, more bool, err error) {
	for {
		kvs, n, cut, err := l.listOutside(ctx, after, limit)
		if err != nil {
			return nil, 0, false, fmt.Errorf("listing foreign keys: %w", err)
		}
		waiting = max(waiting, n)
		for _, r := range kvs {
			after = r.Key
			if _, foreign := events.ForeignKey(strings.TrimPrefix(r.Key, l.cfg.Root+"/")); foreign {
				refs = append(refs, r)
			}
		}
		if len(refs) > 0 || !cut {
			return refs, waiting, cut, nil
		}
	}
}

// listOutside lists keys of the queue that are in no partition's directory, in order, and reports whether the limit
// cut them off.
func (l *Log) listOutside(ctx context.Context, after string, limit int) (refs []events.Ref, waiting int64, more bool, err error) {
	gaps := l.gapsAfter(after)
	for len(gaps) > 0 {
		n := min(len(gaps), maxUnreadRanges)
		ops := make([]clientv3.Op, n)
		for i, g := range gaps[:n] {
			ops[i] = clientv3.OpGet(g.from, clientv3.WithRange(g.to), clientv3.WithKeysOnly(), clientv3.WithLimit(int64(limit)))
		}
		gaps = gaps[n:]
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
			return l.kv.Txn(ctx).Then(ops...).Commit()
		})
		if err != nil {
			return nil, 0, false, err
		}
		if err := l.checkHeader(resp.Header); err != nil {
			return nil, 0, false, err
		}
		for _, one := range resp.Responses {
			waiting += one.GetResponseRange().GetCount()
		}
		for _, one := range resp.Responses {
			found := one.GetResponseRange()
			for _, kv := range found.GetKvs() {
				if len(refs) == limit {
					return refs, waiting, true, nil
				}
				refs = append(refs, events.Ref{Key: string(kv.Key), Revision: l.revisionAt(kv.ModRevision)})
			}
			if found.GetMore() {
				return refs, waiting, true, nil
			}
		}
	}
	return refs, waiting, false, nil
}

// keyRange is a range of keys, without its end.
type keyRange struct{ from, to string }

// gapsAfter returns the ranges of the queue behind a key that belong to no partition.
func (l *Log) gapsAfter(after string) []keyRange {
	queue := l.cfg.Root + "/" + events.QueuePrefix(l.cfg.ClusterID)
	var all []keyRange
	add := func(g keyRange) {
		if g.from <= after {
			g.from = after + "\x00"
		}
		if g.from < g.to {
			all = append(all, g)
		}
	}
	from := queue + "\x00"
	for p := range l.facts.Partitions {
		prefix := l.partitionPrefix(events.Partition(p))
		add(keyRange{from, prefix})
		from = clientv3.GetPrefixRangeEnd(prefix)
	}
	add(keyRange{from, clientv3.GetPrefixRangeEnd(queue)})
	return all
}

// FetchForeign returns the values of refs, in their order and in bounded pages. A key that is gone is left out. A key
// that was written again is returned with its new value under the revision of its ref, so that no caller removes a
// value that it has not read.
func (l *Log) FetchForeign(ctx context.Context, refs []events.Ref) iter.Seq2[[]Foreign, error] {
	return func(yield func([]Foreign, error) bool) {
		own := make([]ref, len(refs))
		for i, r := range refs {
			own[i] = ref{key: r.Key, revision: r.Revision.Number}
		}
		queue := l.cfg.Root + "/" + events.QueuePrefix(l.cfg.ClusterID)
		for page, err := range l.fetchPages(ctx, own) {
			if err != nil {
				yield(nil, fmt.Errorf("fetching %d foreign keys: %w", len(refs), err))
				return
			}
			all := make([]Foreign, len(page))
			for i, kv := range page {
				all[i] = Foreign{Ref: events.Ref{Key: string(kv.Key), Revision: l.revisionAt(kv.ModRevision)}, Name: strings.TrimPrefix(string(kv.Key), queue), Value: kv.Value}
			}
			if !yield(all, nil) {
				return
			}
		}
	}
}

// WatchForeign calls changed at its start, and after each write behind the last partition, where keys are that begin
// with a date or a time since 1970. A call means that there may be something to list. WatchForeign does not see keys
// between partitions. It always returns an error.
func (l *Log) WatchForeign(ctx context.Context, changed func()) error {
	head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	changed()
	all := l.gapsAfter("")
	last := all[len(all)-1]
	err = l.newWatch(etcd.Range{From: last.from, End: last.to}, head.Number).Run(ctx, func(r etcd.Response) error {
		if len(r.Events) > 0 {
			changed()
		}
		return nil
	})
	return fmt.Errorf("watching for foreign keys: %w", watchError(err))
}
