package manifest

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// log is what a Reader needs of the event log (eventlog.Log).
type log interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error]
}

// Reader reads the archive and the log as if all were in the log. Head and Watch are the log's: what is near the head has
// not left it. Safe for concurrent use.
type Reader struct {
	log
	store    *archive.Store // nil: there is none
	manifest *Manifest
}

// NewReader makes a reader. store may be nil where no archive is configured.
func NewReader(log log, store *archive.Store, m *Manifest) *Reader {
	return &Reader{log: log, store: store, manifest: m}
}

// ErrNoArchive refuses to read what has left the log, without the archive that has it.
var ErrNoArchive = errors.New("these events have left the log for the archive, and none is configured here: set -archive.url or ARCHIVE_URL as collectd has it")

// A batch of the log's events is looked at together: until the head was looked at again after it, none of it counts.
const (
	batchEvents  = 64
	batchRecords = 200_000
)

// maxReloads bounds how often the manifest is read anew because an object of it is not in the store.
const maxReloads = 5

// Read gives the events of p with after < revision ≤ upto as eventlog.Log does, whether they are in the log still or in the
// archive. Of merged entries it gives each record once, and events whose records are all repeats are left out. What is
// archived and deleted meanwhile is read from the archive: nothing is missed. What is older than the archive keeps
// (Head.Since) is gone.
//
// Every event has its revision in the present log, also one that was archived before etcd was restored.
func (r *Reader) Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		at := after
		for at.Number < upto.Number {
			head, err := r.manifest.Head(ctx, p)
			switch {
			case err != nil:
			case at.Number < head.At.Number:
				at, err = r.readArchive(ctx, p, at, upto, yield)
			default:
				at, err = r.readLog(ctx, p, at, upto, yield)
			}
			if errors.Is(err, errStopped) {
				return
			}
			if err != nil {
				yield(events.Event{}, err)
				return
			}
		}
	}
}

// errStopped ends a sequence whose reader has left it.
var errStopped = errors.New("the reader has left")

// readLog gives events from the log, until all up to upto are given or some may have left it. It tells up to where every
// event was given.
func (r *Reader) readLog(ctx context.Context, p events.Partition, at, upto events.Revision, yield func(events.Event, error) bool) (events.Revision, error) {
	var batch []events.Event // complete revisions, but for the last one's
	records := 0
	flush := func(n int, to events.Revision) error {
		head, err := r.manifest.Head(ctx, p)
		if err != nil {
			return err
		}
		if head.At.Number > at.Number {
			return errHeadMoved
		}
		for _, ev := range batch[:n] {
			if !yield(ev, nil) {
				return errStopped
			}
		}
		batch, records, at = append(batch[:0], batch[n:]...), 0, to
		return nil
	}
	for ev, err := range r.log.Read(ctx, p, at, upto) {
		if err != nil {
			return at, err
		}
		if n := len(batch); n > 0 && ev.Revision.Number > batch[n-1].Revision.Number && (n >= batchEvents || records >= batchRecords) {
			if err := flush(n, batch[n-1].Revision); err != nil {
				return at, ignoreHeadMoved(err)
			}
		}
		batch, records = append(batch, ev), records+ev.Records()
	}
	err := flush(len(batch), upto)
	return at, ignoreHeadMoved(err)
}

// errHeadMoved tells that events which were read may not be all: some have left the log meanwhile.
var errHeadMoved = errors.New("the head of the archive has moved")

func ignoreHeadMoved(err error) error {
	if errors.Is(err, errHeadMoved) {
		return nil
	}
	return err
}

// readArchive gives what the archive has after at and up to upto, and tells up to where every event was given.
func (r *Reader) readArchive(ctx context.Context, p events.Partition, at, upto events.Revision, yield func(events.Event, error) bool) (events.Revision, error) {
	for reloads := 0; ; reloads++ {
		part, err := r.manifest.Load(ctx, p)
		if err != nil {
			return at, err
		}
		at, err = r.readEntries(ctx, &part, at, upto, yield)
		if !errors.Is(err, archive.ErrMissing) || reloads == maxReloads {
			return at, err
		}
	}
}

func (r *Reader) readEntries(ctx context.Context, part *Partition, at, upto events.Revision, yield func(events.Event, error) bool) (events.Revision, error) {
	for i := range part.Entries {
		e := &part.Entries[i].Entry
		if e.Last.Number <= at.Number {
			continue
		}
		if e.First.Number > upto.Number {
			return upto, nil
		}
		if e.Events > 0 {
			if err := r.readEntry(ctx, e, at, upto, yield); err != nil {
				return at, err
			}
		}
		if at = r.manifest.revisionOf(e.Last.Number); at.Number >= upto.Number {
			return upto, nil
		}
	}
	return r.manifest.revisionOf(max(at.Number, part.Head.At.Number)), nil
}

func (r *Reader) readEntry(ctx context.Context, e *archive.Entry, at, upto events.Revision, yield func(events.Event, error) bool) error {
	if r.store == nil {
		return fmt.Errorf("reading partition %d after revision %d: %w", e.Partition, at.Number, ErrNoArchive)
	}
	after := events.Revision{}
	if at.Number >= e.First.Number {
		after = events.Revision{Epoch: e.Last.Epoch, Cluster: e.Last.Cluster, Number: at.Number}
	}
	for ev, err := range r.store.Read(ctx, *e, after) {
		if err != nil {
			return err
		}
		if ev.Revision.Number > upto.Number {
			return nil
		}
		if ev.Revision = r.manifest.revisionOf(ev.Revision.Number); !yield(ev, nil) {
			return errStopped
		}
	}
	return nil
}
