package eventlog

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// pumpEvents moves the events of p after a revision into q until the watch ends, and does nothing else: etcd's client
// buffers without bound for a slow reader, so this reader must never be slow. When q is full, the pump ends, and the
// watch with it.
func (l *Log) pumpEvents(ctx context.Context, p events.Partition, after int64, q *etcd.Queue) {
	watch := l.newWatch(etcd.Prefix(l.partitionPrefix(p)), after)
	err := watch.Run(ctx, func(r etcd.Response) error {
		if r.Upto == after { // no progress
			return nil
		}
		if after = r.Upto; !q.Put(r) {
			return events.ErrOverflow
		}
		return nil
	})
	q.Close(watchError(err))
}

// newWatch returns a watch of keys of this log that follows the writes after a revision.
func (l *Log) newWatch(keys etcd.Range, after int64) *etcd.Watch {
	return &etcd.Watch{
		NewWatcher: etcd.Watchers(l.watches), Subject: "the log", Ranges: []etcd.Range{keys}, After: after, PutsOnly: true, Silence: l.silence,
		Check: func(_ context.Context, resp *clientv3.WatchResponse, _ int64) error {
			return l.checkHeader(resp.Header)
		},
	}
}

// watchError returns the error of a watch in the log's own terms.
func watchError(err error) error {
	if e, compacted := errors.AsType[*etcd.CompactedError](err); compacted {
		return fmt.Errorf("%w (etcd has it from %d on)", events.ErrCompacted, e.Revision)
	}
	if e, silent := errors.AsType[*etcd.SilentError](err); silent {
		return fmt.Errorf("%w (for %s)", events.ErrSilent, e.Quiet)
	}
	return err
}
