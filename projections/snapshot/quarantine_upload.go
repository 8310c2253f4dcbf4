package snapshot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// UploadFilter selects the quarantined events of an upload.
type UploadFilter struct {
	ID       events.UploadID               // of the upload; its n-th file has -n behind it
	Spans    map[events.Partition][2]int64 // first and last revision of its events in each partition
	Existing map[[16]byte]bool             // hashes (EntryID.Event) of events that an earlier upload had appended
	Shown    int                           // maximum number of entries in the answer
}

// UploadQuarantine is the part of an upload that is in the active generation's quarantine.
type UploadQuarantine struct {
	Events, Records int           // of events that have entries of their own; records of damaged events are not known
	Shown           []Quarantined // the first of their entries, in order of partition and revision
	Summaries       []Quarantined // that count events of the same revisions, perhaps of this upload
}

// QuarantinedOf returns the quarantined events of an upload. Everything in the spans has been folded.
func (s *Store) QuarantinedOf(ctx context.Context, f UploadFilter) (UploadQuarantine, error) {
	var found UploadQuarantine
	g, err := s.activeNow(ctx)
	if err != nil || g == "" {
		return found, err
	}
	partitions, err := s.quarantinedIn(ctx, g, slices.Sorted(maps.Keys(f.Spans)))
	if err != nil {
		return found, err
	}
	for _, p := range partitions {
		if err := s.addQuarantined(ctx, g, p, &f, &found); err != nil {
			return found, fmt.Errorf("reading the quarantine of partition %d: %w", p, err)
		}
	}
	return found, nil
}

// quarantinedIn returns the partitions that have entries.
func (s *Store) quarantinedIn(ctx context.Context, g projections.Generation, partitions []events.Partition) (some []events.Partition, err error) {
	for chunk := range slices.Chunk(partitions, maxPuts) {
		ops := make([]clientv3.Op, len(chunk))
		for i, p := range chunk {
			ops[i] = clientv3.OpGet(s.keys.partitionEntriesPrefix(g, p), clientv3.WithPrefix(), clientv3.WithCountOnly())
		}
		resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) { return s.kv.Txn(ctx).Then(ops...).Commit() })
		if err != nil {
			return nil, fmt.Errorf("counting the quarantine: %w", err)
		}
		for i, r := range resp.Responses {
			if r.GetResponseRange().Count > 0 {
				some = append(some, chunk[i])
			}
		}
	}
	return some, nil
}

// addQuarantined adds a partition's entries of the upload, and its summaries.
func (s *Store) addQuarantined(ctx context.Context, g projections.Generation, p events.Partition, f *UploadFilter, found *UploadQuarantine) error {
	span := f.Spans[p]
	from, to := s.keys.summariesRange(g, p)
	for q, err := range s.entriesBetween(ctx, from, to) {
		if err != nil {
			return err
		}
		if q.Revision.Number <= span[1] && span[0] <= q.LastRevision.Number {
			found.Summaries = append(found.Summaries, q)
		}
	}
	from, to = s.keys.entryKey(g, p, EntryID{Revision: span[0]}), s.keys.entryKey(g, p, EntryID{Revision: span[1] + 1})
	if len(f.Existing) > 0 { // one may have been overwritten since
		to = prefixEnd(s.keys.partitionEntriesPrefix(g, p))
	}
	for q, err := range s.entriesBetween(ctx, from, to) {
		if err != nil {
			return err
		}
		if !f.selects(&q) {
			continue
		}
		found.Events++
		found.Records += q.Records
		if len(found.Shown) < f.Shown {
			found.Shown = append(found.Shown, q)
		}
	}
	return nil
}

func (f *UploadFilter) selects(q *Quarantined) bool {
	return q.Upload == f.ID || strings.HasPrefix(string(q.Upload), string(f.ID)+"-") || f.Existing[q.ID.Event]
}
