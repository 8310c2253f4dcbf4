package snapshot

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// HostSeries is the stored history of one host in one window.
type HostSeries struct {
	Host   events.HostID
	Window projections.Window
	Series projections.HostWindow
}

// PartitionAt returns a partition at a revision of etcd. It is for read-only use: the partition's owner loads it with
// LoadPartition. events.ErrCompacted means that etcd has discarded that revision.
func (s *Store) PartitionAt(ctx context.Context, g projections.Generation, p events.Partition, rev int64) (Partition, error) {
	part, err := s.partitionAt(ctx, g, p, rev)
	if err != nil {
		return part, fmt.Errorf("reading partition %d of generation %s at %d: %w", p, g, rev, compactedError(err))
	}
	return part, nil
}

func (s *Store) partitionAt(ctx context.Context, g projections.Generation, p events.Partition, rev int64) (part Partition, err error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, s.keys.offsetKey(g, p), clientv3.WithRev(rev))
	})
	if err != nil {
		return part, err
	}
	for _, kv := range resp.Kvs {
		if part.Offsets, err = unpackOffsets(kv); err != nil {
			return part, err
		}
	}
	stored, damaged, err := s.readHosts(ctx, g, p, rev)
	if err == nil && len(damaged) > 0 {
		err = damaged[0].Err
	}
	if err != nil {
		return part, err
	}
	part.Hosts = hostsOfStored(stored)
	return part, nil
}

// HistoryAt returns the history of a partition at a revision of etcd, by window and host, with the chunks of each
// merged. It returns events.ErrCompacted as PartitionAt does.
func (s *Store) HistoryAt(ctx context.Context, g projections.Generation, p events.Partition, rev int64) iter.Seq2[HostSeries, error] {
	return func(yield func(HostSeries, error) bool) {
		fail := func(err error) {
			yield(HostSeries{}, fmt.Errorf("reading the history of partition %d of generation %s at %d: %w", p, g, rev, compactedError(err)))
		}
		var now HostSeries
		var chunks []*mvccpb.KeyValue
		flush := func() (bool, error) {
			if len(chunks) == 0 {
				return true, nil
			}
			series, err := s.uniteChunks(chunks)
			if err != nil {
				return false, err
			}
			now.Series, chunks = series, nil
			return yield(now, nil), nil
		}
		for kv, err := range s.rangeAt(ctx, s.keys.partitionPrefix(g, kindSeries, p), rev) {
			if err != nil {
				fail(err)
				return
			}
			window, host, err := s.keys.parseChunk(g, p, string(kv.Key))
			if err != nil {
				fail(&DamagedError{Key: string(kv.Key), Err: err})
				return
			}
			if window != now.Window || host != now.Host {
				if goOn, err := flush(); err != nil {
					fail(err)
					return
				} else if !goOn {
					return
				}
				now = HostSeries{Host: host, Window: window}
			}
			chunks = append(chunks, kv)
		}
		if _, err := flush(); err != nil {
			fail(err)
		}
	}
}

// pageChunks is the number of chunks in one read; some have 64 KiB.
const pageChunks = 64

// rangeAt reads all keys with a prefix at a revision, in pages.
func (s *Store) rangeAt(ctx context.Context, prefix string, rev int64) iter.Seq2[*mvccpb.KeyValue, error] {
	return func(yield func(*mvccpb.KeyValue, error) bool) {
		end := prefixEnd(prefix)
		for from := prefix; from != ""; {
			resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
				return s.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageChunks), clientv3.WithRev(rev))
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, kv := range resp.Kvs {
				if !yield(kv, nil) {
					return
				}
			}
			if from = ""; resp.More {
				from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
			}
		}
	}
}

// compactedError returns events.ErrCompacted for etcd's error of a compacted revision, and any other error as it is.
func compactedError(err error) error {
	if errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("%w: %w", events.ErrCompacted, err)
	}
	return err
}
