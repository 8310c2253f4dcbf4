package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// ErrNoEntry refuses to request the retry of an event that is not in the quarantine.
var ErrNoEntry = errors.New("no event of that key is in the quarantine")

// ErrRetryRefused: etcd does not let this process write requests for retries.
var ErrRetryRefused = errors.New("this process may not request retries in etcd")

// RetryRequest asks the owner of a partition to retry an entry, or all of the partition's entries. Clients write
// requests and nothing else of the quarantine; only the owner removes them, by a Commit, once they are answered.
type RetryRequest struct {
	Entry    EntryID // zero: all entries of the partition
	Revision int64   // revision of the request, so that a request that was repeated meanwhile is answered again
}

// All reports whether the request is for every entry of the partition.
func (m RetryRequest) All() bool { return m.Entry == EntryID{} }

// RetryFilter selects the entries to retry.
type RetryFilter struct {
	Partition    events.Partition
	HasPartition bool   // false: all partitions
	Event        string // key of an event, as in its entry; "": all
	// Visible reports whether entries of a host are retried; entries whose key contains none are not. nil: all entries.
	Visible func(events.HostID) bool
}

// RequestRetry writes requests to the owners to retry entries of the active generation, and returns the number of
// events that they stand for. It waits for no owner. ErrNoEntry: the named event has no entry. ErrRetryRefused: etcd refuses
// the requests.
func (s *Store) RequestRetry(ctx context.Context, f RetryFilter) (int, error) {
	asked := 0
	var keys []string
	g, err := s.activeNow(ctx)
	switch {
	case err != nil:
	case f.Event != "":
		asked, keys, err = s.retryKeysOfEvent(ctx, g, f)
	case f.Visible != nil:
		asked, keys, err = s.retryKeysOfHosts(ctx, g, f)
	default:
		asked, keys, err = s.retryKeysOfPartitions(ctx, g, f)
	}
	if err != nil {
		return 0, fmt.Errorf("asking for a retry: %w", err)
	}
	value, err := packRetryRequest(time.Now())
	if err != nil {
		return 0, fmt.Errorf("asking for a retry: %w", err)
	}
	for some := range slices.Chunk(keys, maxPuts) {
		ops := make([]clientv3.Op, len(some))
		for i, key := range some {
			ops[i] = clientv3.OpPut(key, string(value))
		}
		_, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
		if errors.Is(err, rpctypes.ErrPermissionDenied) {
			err = errors.Join(ErrRetryRefused, s.cfg.ExplainRefusal(err))
		}
		if err != nil {
			return 0, fmt.Errorf("asking for a retry: %w", err)
		}
	}
	return asked, nil
}

// packRetryRequest returns the stored form of a request. Owners read the key alone; the value is for people.
func packRetryRequest(at time.Time) ([]byte, error) {
	return json.Marshal(struct {
		At time.Time `json:"at"`
	}{at.UTC()})
}

// retryKeysOfEvent returns a request's key for each entry of an event, and the number of events. There are several
// entries when it was overwritten several times; a summary is found by the key of its first event.
func (s *Store) retryKeysOfEvent(ctx context.Context, g projections.Generation, f RetryFilter) (asked int, keys []string, err error) {
	partition, _, _ := strings.Cut(strings.TrimPrefix(f.Event, s.cfg.Prefix("queue")), "/")
	p, err := events.ParsePartition(partition)
	if err != nil || f.HasPartition && p != f.Partition {
		return 0, nil, ErrNoEntry
	}
	for q, err := range s.Quarantined(ctx, g, p) {
		if err != nil {
			return 0, nil, err
		}
		if q.Key == f.Event && f.sees(&q) {
			asked += q.EventCount()
			keys = append(keys, s.keys.retryKey(p, q.ID))
		}
	}
	if len(keys) == 0 {
		return 0, nil, ErrNoEntry
	}
	return asked, keys, nil
}

// sees reports whether an entry is visible.
func (f *RetryFilter) sees(q *Quarantined) bool {
	visible := QuarantineFilter{Visible: f.Visible}
	return visible.sees(q)
}

// retryKeysOfHosts returns a request's key for each visible entry, and the number of their events.
func (s *Store) retryKeysOfHosts(ctx context.Context, g projections.Generation, f RetryFilter) (asked int, keys []string, err error) {
	filter := QuarantineFilter{Partition: f.Partition, HasPartition: f.HasPartition}
	for _, p := range filter.partitions(s.facts.Partitions) {
		for q, err := range s.Quarantined(ctx, g, p) {
			if err != nil {
				return 0, nil, err
			}
			if f.sees(&q) {
				asked += q.EventCount()
				keys = append(keys, s.keys.retryKey(p, q.ID))
			}
		}
	}
	return asked, keys, nil
}

// retryKeysOfPartitions returns a request's key for each partition that has entries, and the number of their events.
func (s *Store) retryKeysOfPartitions(ctx context.Context, g projections.Generation, f RetryFilter) (entries int, keys []string, err error) {
	first, last := events.Partition(0), events.Partition(s.facts.Partitions-1)
	if f.HasPartition {
		first, last = f.Partition, f.Partition
	}
	for p := first; p <= last; p += maxPuts {
		var ops []clientv3.Op
		for q := p; q <= min(last, p+maxPuts-1); q++ {
			ops = append(ops, clientv3.OpGet(s.keys.partitionEntriesPrefix(g, q), clientv3.WithPrefix(), clientv3.WithCountOnly()))
		}
		resp, err := retryWrite(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
		if err != nil {
			return 0, nil, err
		}
		for i, r := range resp.Responses {
			if n := int(r.GetResponseRange().Count); n > 0 {
				entries += n
				keys = append(keys, s.keys.retryKey(p+events.Partition(i), EntryID{}))
			}
		}
	}
	if entries == 0 {
		return 0, nil, nil
	}
	filter := QuarantineFilter{Partition: f.Partition, HasPartition: f.HasPartition}
	more, err := s.summarised(ctx, g, filter.partitions(s.facts.Partitions))
	return entries + more, keys, err
}

// WatchRetries returns the requests of a partition, first the existing ones and then each new one. From time to time
// it repeats the requests that still exist. It survives compaction and the loss of etcd, and ends when ctx does, or
// with an error that waiting does not mend.
func (s *Store) WatchRetries(ctx context.Context, p events.Partition) iter.Seq2[[]RetryRequest, error] {
	return func(yield func([]RetryRequest, error) bool) {
		from := s.keys.retryPrefix(p)
		err := s.followRange(ctx, etcd.Range{From: from, End: prefixEnd(from)}, func(changes []*clientv3.Event) (bool, error) {
			var requests []RetryRequest
			for _, ev := range changes {
				if ev.Type != clientv3.EventTypePut {
					continue
				}
				id, err := s.keys.parseRetryKey(p, string(ev.Kv.Key))
				if err != nil {
					s.lg.Error("leaving out a key that asks for no retry", "key", string(ev.Kv.Key), "err", err)
					continue
				}
				requests = append(requests, RetryRequest{Entry: id, Revision: ev.Kv.ModRevision})
			}
			return len(requests) == 0 || yield(requests, nil), nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("watching for retries of partition %d: %w", p, err))
		}
	}
}
