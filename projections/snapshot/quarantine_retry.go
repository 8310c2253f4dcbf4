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

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// ErrNoEntry refuses to ask for the retry of an event that is not in the quarantine.
var ErrNoEntry = errors.New("no event of that key is in the quarantine")

// Mark asks the owner of a partition to retry an entry, or all of the partition's. Whoever asks writes marks
// and nothing else of the quarantine; the owner alone removes them, by a Commit, once they are answered.
type Mark struct {
	Entry    EntryID // zero: all of the partition's
	Revision int64   // of the mark itself, so that one written again meanwhile is answered again
}

// All tells that the mark is for every entry of the partition.
func (m Mark) All() bool { return m.Entry == EntryID{} }

// RetryFilter says which entries to retry.
type RetryFilter struct {
	Partition    events.Partition
	HasPartition bool   // else of all
	Event        string // key of an event, as its entry has it; "": all
}

// AskRetry leaves the marks that ask owners to retry entries of the active generation, and tells how many entries
// they are for. It waits for no owner. ErrNoEntry: the event that is named has none.
func (s *Store) AskRetry(ctx context.Context, f RetryFilter) (int, error) {
	asked := 0
	var marks []string
	g, err := s.activeNow(ctx)
	switch {
	case err != nil:
	case f.Event != "":
		marks, err = s.marksOfEvent(ctx, g, f)
		asked = len(marks)
	default:
		asked, marks, err = s.marksOfPartitions(ctx, g, f)
	}
	if err != nil {
		return 0, fmt.Errorf("asking for a retry: %w", err)
	}
	value, err := packMark(time.Now())
	if err != nil {
		return 0, fmt.Errorf("asking for a retry: %w", err)
	}
	for some := range slices.Chunk(marks, maxPuts) {
		ops := make([]clientv3.Op, len(some))
		for i, key := range some {
			ops[i] = clientv3.OpPut(key, string(value))
		}
		if _, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() }); err != nil {
			return 0, fmt.Errorf("asking for a retry: %w", err)
		}
	}
	return asked, nil
}

// packMark returns the stored form of a mark. Owners read the key alone; the value is for people.
func packMark(at time.Time) ([]byte, error) {
	return json.Marshal(struct {
		At time.Time `json:"at"`
	}{at.UTC()})
}

// marksOfEvent gives a mark for each entry of an event. There are several when it was overwritten several
// times.
func (s *Store) marksOfEvent(ctx context.Context, g projections.Generation, f RetryFilter) ([]string, error) {
	partition, _, _ := strings.Cut(strings.TrimPrefix(f.Event, s.cfg.Prefix("queue")), "/")
	p, err := events.ParsePartition(partition)
	if err != nil || f.HasPartition && p != f.Partition {
		return nil, ErrNoEntry
	}
	var marks []string
	for q, err := range s.Quarantined(ctx, g, p) {
		if err != nil {
			return nil, err
		}
		if q.Key == f.Event {
			marks = append(marks, s.keys.mark(p, q.ID))
		}
	}
	if len(marks) == 0 {
		return nil, ErrNoEntry
	}
	return marks, nil
}

// marksOfPartitions gives a mark for each partition that has entries, and how many those are.
func (s *Store) marksOfPartitions(ctx context.Context, g projections.Generation, f RetryFilter) (entries int, marks []string, err error) {
	first, last := events.Partition(0), events.Partition(s.facts.Partitions-1)
	if f.HasPartition {
		first, last = f.Partition, f.Partition
	}
	for p := first; p <= last; p += maxPuts {
		var ops []clientv3.Op
		for q := p; q <= min(last, p+maxPuts-1); q++ {
			ops = append(ops, clientv3.OpGet(s.keys.entriesOf(g, q), clientv3.WithPrefix(), clientv3.WithCountOnly()))
		}
		resp, err := retry(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
		if err != nil {
			return 0, nil, err
		}
		for i, r := range resp.Responses {
			if n := int(r.GetResponseRange().Count); n > 0 {
				entries += n
				marks = append(marks, s.keys.mark(p+events.Partition(i), EntryID{}))
			}
		}
	}
	return entries, marks, nil
}

// WatchRetries gives the marks of a partition, those that are there and then those that are written. From
// time to time it gives again what is still there. It survives compaction and the loss of etcd, and ends when
// ctx does, or with an error that waiting does not mend.
func (s *Store) WatchRetries(ctx context.Context, p events.Partition) iter.Seq2[[]Mark, error] {
	return func(yield func([]Mark, error) bool) {
		from := s.keys.marksOf(p)
		err := s.reflect(ctx, etcd.Range{From: from, End: endOf(from)}, func(changes []*clientv3.Event) (bool, error) {
			var marks []Mark
			for _, ev := range changes {
				if ev.Type != clientv3.EventTypePut {
					continue
				}
				id, err := s.keys.parseMark(p, string(ev.Kv.Key))
				if err != nil {
					s.lg.Error("leaving out a key that asks for no retry", "key", string(ev.Kv.Key), "err", err)
					continue
				}
				marks = append(marks, Mark{Entry: id, Revision: ev.Kv.ModRevision})
			}
			return len(marks) == 0 || yield(marks, nil), nil
		})
		if err != nil {
			yield(nil, fmt.Errorf("watching for retries of partition %d: %w", p, err))
		}
	}
}
