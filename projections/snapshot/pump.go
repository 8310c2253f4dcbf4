package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

const headTimeout = 5 * time.Second

// The two ranges that a Watch combines.
const (
	fromModels = iota
	fromOffsets
	sources
)

// changes holds the changes of one revision, by range.
type changes [sources][]*clientv3.Event

// queuedBytes returns the room that changes take in the queue.
func (c changes) queuedBytes() (bytes [sources]int) {
	for i := range c {
		bytes[i] = etcd.SizeOf(c[i])
	}
	return bytes
}

// pumpChanges moves the changes of a generation after a revision into q until the watch ends, and does nothing else:
// etcd's client buffers without bound for a slow reader, so this reader must never be slow. Progress enters the queue
// even if it repeats a position: it shows the reader that etcd is there.
func (s *Store) pumpChanges(ctx context.Context, g projections.Generation, after int64, q *etcd.Queue) {
	models, end := s.keys.modelsRange(g)
	offsets := s.keys.offsetsPrefix(g)
	watch := etcd.Watch{
		NewWatcher: s.newWatcher, Subject: "projections", After: after, Silence: s.cfg.Silence(), BalanceProgress: true, Check: s.checkResponse,
		Ranges: []etcd.Range{fromModels: {From: models, End: end}, fromOffsets: {From: offsets, End: prefixEnd(offsets)}},
	}
	err := watch.Run(ctx, func(r etcd.Response) error {
		if !q.Put(r) {
			s.metrics.overflows.Inc()
			return events.ErrOverflow
		}
		return nil
	})
	q.Close(watchError(err))
}

// watchError returns the error of a watch in the terms of this package.
func watchError(err error) error {
	if e, compacted := errors.AsType[*etcd.CompactedError](err); compacted {
		return fmt.Errorf("%w (etcd has it from %d on)", events.ErrCompacted, e.Revision)
	}
	if e, silent := errors.AsType[*etcd.SilentError](err); silent {
		return fmt.Errorf("%w (for %s)", ErrSilent, e.Quiet)
	}
	return err
}

// checkResponse returns events.ErrForeign if another etcd answers than the store's, or one that was set back.
func (s *Store) checkResponse(ctx context.Context, resp *clientv3.WatchResponse, upto int64) error {
	if h := resp.Header; h != nil && s.facts.Cluster != h.ClusterId {
		return fmt.Errorf("watching projections: etcd cluster is now %x: %w", h.ClusterId, events.ErrForeign)
	}
	if resp.Created && resp.Header.Revision < upto {
		return s.checkHead(ctx, upto)
	}
	return nil
}

// checkHead distinguishes an etcd that was set back from a member that lags and will catch up.
func (s *Store) checkHead(ctx context.Context, upto int64) error {
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	_, head, err := s.getKey(ctx, s.keys.activeKey())
	if err != nil {
		return fmt.Errorf("watching projections: asking for etcd's revision: %w", err)
	}
	if head < upto {
		return fmt.Errorf("watching projections: etcd went back to revision %d: %w", head, events.ErrForeign)
	}
	return nil
}
