package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// A page of values is at most maxPageKeys keys and, as far as their sizes can be foreseen, pageBytes.
const (
	maxPageKeys       = 64
	pageBytes         = 512 << 10
	initialValueBytes = 16 << 10 // assumed size of a value before the first page
	minValueBytes     = 256
)

// Read returns the events of p with after < revision ≤ upto, in order of revision, and of key within a revision. When
// the sequence ends without an error, it is complete; an upto beyond the head reads up to the head. A damaged event
// is returned with its Damage set. The zero after is the beginning; an after of another log returns ErrForeign.
// Transient failures are retried until ctx ends.
//
// It reads keys first, then values in bounded pages, always at the newest revision, so that no compaction can cut it
// off; in exchange an event that retention removes meanwhile may be missing. It holds two pages in memory, and the
// key and revision of every event of the range: etcd cannot limit a list that is filtered by revision.
func (l *Log) Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		refs, err := l.listRefs(ctx, p, after, upto)
		if err != nil {
			yield(events.Event{}, fmt.Errorf("reading partition %d after revision %d: %w", p, after.Number, err))
			return
		}
		for page, err := range readAhead(ctx, func(ctx context.Context) iter.Seq2[[]*mvccpb.KeyValue, error] { return l.fetchPages(ctx, refs) }) {
			if err != nil {
				yield(events.Event{}, fmt.Errorf("reading partition %d after revision %d: %w", p, after.Number, err))
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

// ref is the position of an event: enough to fetch it and to notice that another one has replaced it.
type ref struct {
	key      string
	revision int64
}

// listRefs returns the refs of p in a range of revisions, in their order.
func (l *Log) listRefs(ctx context.Context, p events.Partition, after, upto events.Revision) ([]ref, error) {
	if err := l.checkPosition(after); err != nil {
		return nil, err
	}
	if err := l.checkPosition(upto); err != nil {
		return nil, err
	}
	if upto.Number <= after.Number {
		return nil, nil
	}
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return l.kv.Get(ctx, l.partitionPrefix(p), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
			clientv3.WithMinModRev(after.Number+1), clientv3.WithMaxModRev(upto.Number))
	})
	if err != nil {
		return nil, err
	}
	if err := l.checkHeader(resp.Header); err != nil {
		return nil, err
	}
	if head := resp.Header.Revision; after.Number > head {
		return nil, fmt.Errorf("position %d is ahead of the log, whose newest revision is %d: %w", after.Number, head, events.ErrForeign)
	}
	refs := make([]ref, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		refs[i] = ref{string(kv.Key), kv.ModRevision}
	}
	slices.SortFunc(refs, func(a, b ref) int {
		return cmp.Or(cmp.Compare(a.revision, b.revision), cmp.Compare(a.key, b.key))
	})
	return refs, nil
}

// fetchPages fetches the events of refs in pages, sized by the values of the page before.
func (l *Log) fetchPages(ctx context.Context, refs []ref) iter.Seq2[[]*mvccpb.KeyValue, error] {
	return func(yield func([]*mvccpb.KeyValue, error) bool) {
		size := initialValueBytes
		for len(refs) > 0 {
			n := min(max(1, pageBytes/size), maxPageKeys, len(refs))
			page, err := l.fetchValues(ctx, refs[:n])
			if !yield(page, err) || err != nil {
				return
			}
			refs = refs[n:]
			size = max(averageSize(page), size/2, minValueBytes)
		}
	}
}

func averageSize(page []*mvccpb.KeyValue) int {
	total := 0
	for _, kv := range page {
		total += len(kv.Value)
	}
	return total / max(1, len(page))
}

// fetchValues returns the values of refs in one read-only transaction. A key that is gone is left out, and so is one
// that was removed and created again: a later list finds it at its new revision. An overwritten key stays, under the
// revision it was listed with, and is found damaged.
func (l *Log) fetchValues(ctx context.Context, refs []ref) ([]*mvccpb.KeyValue, error) {
	ops := make([]clientv3.Op, len(refs))
	for i, r := range refs {
		ops[i] = clientv3.OpGet(r.key)
	}
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).Then(ops...).Commit()
	})
	if err != nil {
		return nil, err
	}
	if len(resp.Responses) != len(refs) {
		return nil, fmt.Errorf("etcd answered %d of %d reads", len(resp.Responses), len(refs))
	}
	page := make([]*mvccpb.KeyValue, 0, len(refs))
	for i, one := range resp.Responses {
		kvs := one.GetResponseRange().GetKvs()
		if len(kvs) == 0 || kvs[0].CreateRevision > refs[i].revision {
			continue
		}
		if isOverwritten(kvs[0]) {
			kvs[0].ModRevision = refs[i].revision
		}
		page = append(page, kvs[0])
	}
	return page, nil
}

// readAhead runs a sequence in its own goroutine, one element ahead of its reader. The goroutine has ended when the
// sequence has.
func readAhead[T any](ctx context.Context, of func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	type element struct {
		v   T
		err error
	}
	return func(yield func(T, error) bool) {
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		elements, left := make(chan element), make(chan struct{})
		defer close(left)
		wg.Go(func() {
			defer close(elements)
			for v, err := range of(ctx) {
				select {
				case elements <- element{v, err}:
				case <-left:
					return
				}
			}
		})
		for e := range elements {
			if !yield(e.v, e.err) {
				return
			}
		}
	}
}
