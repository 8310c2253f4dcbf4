package snapshot

import (
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// maxRanges is the number of reads in one transaction; etcd allows 128 by default.
const maxRanges = 100

// Series reads and merges the chunks of windows of one host, linearizably, in the order of windows. Windows without
// chunks are left out. A generation under removal is projections.ErrRemoved, since windows that are gone would look like
// windows without records.
func (s *Store) Series(ctx context.Context, g projections.Generation, p events.Partition,
	host events.HostID, windows []projections.Window) ([]projections.WindowSeries, error) {
	var list []projections.WindowSeries
	for some := range slices.Chunk(windows, maxRanges) {
		found, err := s.readWindows(ctx, g, p, host, some)
		if err != nil {
			return nil, fmt.Errorf("reading history of host %q: %w", host, err)
		}
		list = append(list, found...)
	}
	return list, nil
}

// readWindows reads up to maxRanges windows at one revision.
func (s *Store) readWindows(ctx context.Context, g projections.Generation, p events.Partition,
	host events.HostID, windows []projections.Window) ([]projections.WindowSeries, error) {
	ops := make([]clientv3.Op, len(windows), len(windows)+1)
	for i, w := range windows {
		ops[i] = clientv3.OpGet(s.keys.windowPrefix(g, p, w, host), clientv3.WithPrefix())
	}
	ops = append(ops, clientv3.OpGet(s.keys.offsetKey(g, p), clientv3.WithCountOnly()))
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).Then(ops...).Commit()
	})
	if err != nil {
		return nil, err
	}
	if resp.Responses[len(windows)].GetResponseRange().Count == 0 {
		if err := s.checkNotRemoved(ctx, g, 0); err != nil {
			return nil, err
		}
	}
	var found []projections.WindowSeries
	for i, w := range windows {
		kvs := resp.Responses[i].GetResponseRange().Kvs
		if len(kvs) == 0 {
			continue
		}
		series, err := s.uniteChunks(kvs)
		if err != nil {
			return nil, err
		}
		found = append(found, projections.WindowSeries{Window: w, Series: series})
	}
	return found, nil
}

// uniteChunks merges a window's chunks into one series.
func (s *Store) uniteChunks(kvs []*mvccpb.KeyValue) (projections.HostWindow, error) {
	chunks := make([]projections.HostWindow, len(kvs))
	for i, kv := range kvs {
		series, err := unpackModel(s, kv, projections.ParseHostWindow)
		if err != nil {
			return projections.HostWindow{}, err
		}
		chunks[i] = *series
	}
	return projections.Merge(chunks...), nil
}
