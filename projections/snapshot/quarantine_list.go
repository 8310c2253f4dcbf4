package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

const (
	pageEntries   = 64     // entries in one read
	searchEntries = 10_000 // entries that a list searches for entries of some hosts
)

// Quarantined returns the entries of a generation in a partition, in order of their events' revisions. It reads in
// pages, so an entry that is written or removed meanwhile may be included or not.
func (s *Store) Quarantined(ctx context.Context, g projections.Generation, p events.Partition) iter.Seq2[Quarantined, error] {
	from := s.keys.partitionEntriesPrefix(g, p)
	return func(yield func(Quarantined, error) bool) {
		for q, err := range s.entriesBetween(ctx, from, prefixEnd(from)) {
			if err != nil {
				err = fmt.Errorf("reading the quarantine of partition %d: %w", p, err)
			}
			if !yield(q, err) {
				return
			}
		}
	}
}

// entriesBetween returns the entries in a range of keys, read in pages.
func (s *Store) entriesBetween(ctx context.Context, from, end string) iter.Seq2[Quarantined, error] {
	return func(yield func(Quarantined, error) bool) {
		for from := from; from != ""; {
			resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
				return s.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageEntries))
			})
			if err != nil {
				yield(Quarantined{}, err)
				return
			}
			for _, kv := range resp.Kvs {
				q, err := s.unpackEntry(kv)
				if err != nil {
					s.lg.Error("leaving out a key that is no quarantine entry", "err", err)
					continue
				}
				if !yield(q, nil) {
					return
				}
			}
			if from = ""; resp.More {
				from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
			}
		}
	}
}

// QuarantineFilter selects entries of the active generation's quarantine.
type QuarantineFilter struct {
	Partition    events.Partition
	HasPartition bool            // false: all partitions
	Hosts        []events.HostID // nil: all hosts, and entries whose key contains none
	Limit        int             // at least 1
	// Visible reports whether entries of a host are listed and counted; entries whose key contains none are not. nil: all
	// entries.
	Visible func(events.HostID) bool
}

// QuarantineList returns the selected entries that were written last, sorted by the revision of their events, the
// newest first and summaries last, and the number of events of all visible hosts. Its reads are bounded: all keys, and the values
// of the returned entries, with Hosts of the 10,000 written last, or with Visible of all.
func (s *Store) QuarantineList(ctx context.Context, f QuarantineFilter) (list []Quarantined, total int, err error) {
	g, err := s.activeNow(ctx)
	if g == "" {
		return nil, 0, err
	}
	from := s.keys.entriesPrefix(g)
	if f.HasPartition {
		from = s.keys.partitionEntriesPrefix(g, f.Partition)
	}
	end := prefixEnd(from)
	most := f.Limit
	switch {
	case f.Visible != nil:
		most = 0 // no limit: all are counted
	case len(f.Hosts) > 0:
		most = searchEntries
	}
	visible := 0 // events
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithKeysOnly(),
			clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend), clientv3.WithLimit(int64(most)))
	})
	for err == nil && (len(list) < f.Limit || f.Visible != nil) && len(resp.Kvs) > 0 {
		page := resp.Kvs[:min(pageEntries/2, len(resp.Kvs))]
		resp.Kvs = resp.Kvs[len(page):]
		keys := make([]string, len(page))
		for i, kv := range page {
			keys[i] = string(kv.Key)
		}
		var found []Quarantined
		found, err = s.entriesAt(ctx, keys)
		for _, q := range found {
			if !f.sees(&q) {
				continue
			}
			visible += q.EventCount()
			if len(list) < f.Limit && (len(f.Hosts) == 0 || slices.Contains(f.Hosts, q.Host)) {
				list = append(list, q)
			}
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("listing the quarantine: %w", err)
	}
	slices.SortFunc(list, func(a, b Quarantined) int {
		return cmp.Or(cmp.Compare(b.ID.Revision, a.ID.Revision), cmp.Compare(a.Key, b.Key))
	})
	if f.Visible != nil { // summaries have no host
		return list, visible, nil
	}
	more, err := s.summarised(ctx, g, f.partitions(s.facts.Partitions))
	if err != nil {
		return nil, 0, err
	}
	return list, int(resp.Count) + more, nil
}

// sees reports whether an entry is visible.
func (f *QuarantineFilter) sees(q *Quarantined) bool {
	return f.Visible == nil || q.Host != "" && f.Visible(q.Host)
}

// partitions returns the selected partitions.
func (f *QuarantineFilter) partitions(all int) (list []events.Partition) {
	if f.HasPartition {
		return []events.Partition{f.Partition}
	}
	return allPartitions(all)
}

func allPartitions(n int) []events.Partition {
	list := make([]events.Partition, n)
	for i := range list {
		list[i] = events.Partition(i)
	}
	return list
}

// summarised returns the number of events that the entries of partitions stand for beyond one for each entry.
func (s *Store) summarised(ctx context.Context, g projections.Generation, partitions []events.Partition) (more int, err error) {
	for some := range slices.Chunk(partitions, maxPuts) {
		ops := make([]clientv3.Op, len(some))
		for i, p := range some {
			from, to := s.keys.summariesRange(g, p)
			ops[i] = clientv3.OpGet(from, clientv3.WithRange(to))
		}
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
		if err != nil {
			return 0, fmt.Errorf("reading the summaries of the quarantine: %w", err)
		}
		for _, r := range resp.Responses {
			for _, kv := range r.GetResponseRange().Kvs {
				if q, err := s.unpackEntry(kv); err == nil {
					more += q.EventCount() - 1
				}
			}
		}
	}
	return more, nil
}

// entriesAt returns entries by key, and whether their retry is requested. Removed entries are left out.
func (s *Store) entriesAt(ctx context.Context, keys []string) ([]Quarantined, error) {
	ops := make([]clientv3.Op, 0, 3*len(keys))
	for _, key := range keys {
		p, id, err := s.keys.parseEntry(key)
		if err != nil {
			s.lg.Error("leaving out a key that is no quarantine entry", "err", err)
			continue
		}
		ops = append(ops, clientv3.OpGet(key),
			clientv3.OpGet(s.keys.retryKey(p, id), clientv3.WithCountOnly()), clientv3.OpGet(s.keys.retryKey(p, EntryID{}), clientv3.WithCountOnly()))
	}
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
	if err != nil {
		return nil, err
	}
	var found []Quarantined
	for r := range slices.Chunk(resp.Responses, 3) {
		for _, kv := range r[0].GetResponseRange().Kvs {
			q, err := s.unpackEntry(kv)
			if err != nil {
				return nil, err
			}
			q.RetryRequested = r[1].GetResponseRange().Count+r[2].GetResponseRange().Count > 0
			found = append(found, q)
		}
	}
	return found, nil
}

// activeNow returns the active generation, "" when there is none.
func (s *Store) activeNow(ctx context.Context) (projections.Generation, error) {
	kv, _, err := s.getKey(ctx, s.keys.activeKey())
	if err != nil {
		return "", fmt.Errorf("reading the active generation: %w", err)
	}
	if kv == nil {
		return "", nil
	}
	return projections.Generation(kv.Value), nil
}

// QuarantineCount returns the number of quarantined events of the active generation.
func (s *Store) QuarantineCount(ctx context.Context) (int, error) {
	g, err := s.activeNow(ctx)
	if g == "" {
		return 0, err
	}
	from := s.keys.entriesPrefix(g)
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, from, clientv3.WithPrefix(), clientv3.WithCountOnly())
	})
	if err != nil {
		return 0, fmt.Errorf("counting the quarantine: %w", err)
	}
	if resp.Count == 0 {
		return 0, nil
	}
	more, err := s.summarised(ctx, g, allPartitions(s.facts.Partitions))
	return int(resp.Count) + more, err
}
