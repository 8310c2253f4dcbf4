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

// PartitionAt reads a partition as it was at a revision of etcd. It is for looking on: who owns the partition
// loads it with LoadPartition. events.ErrCompacted means that etcd has forgotten how it was.
func (s *Store) PartitionAt(ctx context.Context, g projections.Generation, p events.Partition, rev int64) (Partition, error) {
	part, err := s.partitionAt(ctx, g, p, rev)
	if err != nil {
		return part, fmt.Errorf("reading partition %d of generation %s at %d: %w", p, g, rev, forgotten(err))
	}
	return part, nil
}

func (s *Store) partitionAt(ctx context.Context, g projections.Generation, p events.Partition, rev int64) (part Partition, err error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, s.keys.offset(g, p), clientv3.WithRev(rev))
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
	if err != nil || len(damaged) > 0 {
		return part, errors.Join(append(damaged, err)...)
	}
	part.Hosts = hostsOfStored(stored)
	return part, nil
}

// HistoryAt gives the history of a partition as it was at a revision of etcd, by window and host, the chunks of
// each united. events.ErrCompacted is as in PartitionAt.
func (s *Store) HistoryAt(ctx context.Context, g projections.Generation, p events.Partition, rev int64) iter.Seq2[HostSeries, error] {
	return func(yield func(HostSeries, error) bool) {
		fail := func(err error) {
			yield(HostSeries{}, fmt.Errorf("reading the history of partition %d of generation %s at %d: %w", p, g, rev, forgotten(err)))
		}
		var now HostSeries
		var chunks []*mvccpb.KeyValue
		flush := func() (bool, error) {
			if len(chunks) == 0 {
				return true, nil
			}
			series, err := s.unite(chunks, all)
			if err != nil {
				return false, err
			}
			now.Series, chunks = series, nil
			return yield(now, nil), nil
		}
		for kv, err := range s.rangeAt(ctx, s.keys.partition(g, kindSeries, p), rev) {
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

// pageChunks is how many chunks one read gives: some of 64 KiB.
const pageChunks = 64

// rangeAt reads all keys with a prefix at a revision, in pages.
func (s *Store) rangeAt(ctx context.Context, prefix string, rev int64) iter.Seq2[*mvccpb.KeyValue, error] {
	return func(yield func(*mvccpb.KeyValue, error) bool) {
		end := endOf(prefix)
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

// forgotten says in the words of events that a revision is compacted.
func forgotten(err error) error {
	if errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("%w: %w", events.ErrCompacted, err)
	}
	return err
}
