package query

import (
	"context"
	"errors"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/cache"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/rest"
)

// store reads the stored projections (projections/snapshot.Store): the state that the hub follows, series, and the
// quarantine.
type store interface {
	Load(ctx context.Context, g projections.Generation) (projections.Batch, error)
	Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error]
	WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error]
	KeepChunksUpTo(bytes int64)
	ChunkCacheStats() cache.Stats
	ListChunks(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error)
	ReadChunks(ctx context.Context, windows []projections.WindowChunks,
		keep func(e events.Entity, metric string) bool) ([]projections.WindowSeries, error)
	QuarantineList(ctx context.Context, f snapshot.QuarantineFilter) ([]snapshot.Quarantined, int, error)
	QuarantineCount(ctx context.Context) (int, error)
	RequestRetry(ctx context.Context, f snapshot.RetryFilter) (int, error)
}

// log reads the event log (eventlog.Log): events that are not folded yet, and events to show.
type log interface {
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
	Get(ctx context.Context, key string) (events.Event, bool, error)
	UnreadPartitions(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error)
}

// seriesReader provides history with the series of a store, so that history does not depend on their storage.
type seriesReader struct{ store store }

// List returns the chunks of windows.
func (r seriesReader) List(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error) {
	all, err := r.store.ListChunks(ctx, g, q)
	return all, historyError(err)
}

// Read returns the records of listed windows.
func (r seriesReader) Read(ctx context.Context, windows []projections.WindowChunks,
	keep func(e events.Entity, metric string) bool) ([]projections.WindowSeries, error) {
	list, err := r.store.ReadChunks(ctx, windows, keep)
	return list, historyError(err)
}

// historyError returns an error of the store as history knows it.
func historyError(err error) error {
	switch {
	case errors.Is(err, projections.ErrRemoved):
		return errors.Join(history.ErrReplaced, err)
	case errors.Is(err, snapshot.ErrChunkGone):
		return errors.Join(history.ErrMoved, err)
	}
	return err
}

// quarantineReader provides rest with the quarantine of a store, so that rest does not depend on its storage.
type quarantineReader struct{ store store }

// Quarantined lists events that could not be folded.
func (q quarantineReader) Quarantined(ctx context.Context, f rest.QuarantineFilter) ([]rest.Quarantined, int, error) {
	list, total, err := q.store.QuarantineList(ctx, snapshot.QuarantineFilter(f))
	if err != nil {
		return nil, 0, err
	}
	out := make([]rest.Quarantined, len(list))
	for i, e := range list {
		out[i] = rest.Quarantined{
			Partition: e.Partition, Entry: e.ID.String(), Key: e.Key, Revision: e.Revision, Host: e.Host, Reason: e.Reason, Text: e.Text, Upload: e.Upload,
			At: e.At, ModelVersion: e.Version, Attempts: e.Attempts, TriedAt: e.TriedAt, RetryAsked: e.RetryRequested,
			Records: e.Records, Partial: e.Partial, Events: e.Events, LastKey: e.LastKey, LastRevision: e.LastRevision,
		}
	}
	return out, total, nil
}

// RequestRetry asks the owners to fold such events again.
func (q quarantineReader) RequestRetry(ctx context.Context, f rest.RetryFilter) (int, error) {
	asked, err := q.store.RequestRetry(ctx, snapshot.RetryFilter{Partition: f.Partition, HasPartition: f.HasPartition, Event: f.Key, Visible: f.Visible})
	if errors.Is(err, snapshot.ErrNoEntry) {
		return 0, errors.Join(rest.ErrNotQuarantined, err)
	}
	if errors.Is(err, snapshot.ErrRetryRefused) {
		return 0, errors.Join(rest.ErrRetryRefused, err)
	}
	return asked, err
}
