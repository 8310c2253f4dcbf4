package manifest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// log is the part of the event log (eventlog.Log) that a Reader uses.
type log interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error]
}

// Reader reads the archive and the log as if all events were in the log. Head and Watch are the log's, because events near
// the head are still in it. Safe for concurrent use.
type Reader struct {
	log
	store    *archive.Store // nil: none is configured
	manifest *Manifest
}

// NewReader returns a reader. store may be nil where no archive is configured.
func NewReader(log log, store *archive.Store, m *Manifest) *Reader {
	return &Reader{log: log, store: store, manifest: m}
}

// ErrNoArchive refuses to read archived events where no archive is configured.
var ErrNoArchive = errors.New("these events have left the log for the archive, and none is configured here: set -archive.url or ARCHIVE_URL as collectd has it")

// The bounds of a batch of the log's events. No event of a batch is yielded before the head was read again after it.
const (
	batchEvents  = 64
	batchRecords = 200_000
)

// maxReloads bounds how often the manifest is reloaded because one of its objects is not in the store.
const maxReloads = 5

// Read returns the events of p with after < revision ≤ upto as eventlog.Log does, whether they are still in the log or in
// the archive. Of merged entries it returns each record once, and leaves out events whose records are all repeats. It reads
// events that are archived and deleted meanwhile from the archive, and misses none. Events up to Head.Since are gone.
//
// Every event has its revision in the present log, also if it was archived before etcd was restored.
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

// errStopped ends a sequence whose consumer has stopped.
var errStopped = errors.New("the consumer has stopped")

// readLog yields events from the log, until it has yielded all up to upto or some may have left the log. It returns the
// position up to which it has yielded every event.
func (r *Reader) readLog(ctx context.Context, p events.Partition, at, upto events.Revision, yield func(events.Event, error) bool) (events.Revision, error) {
	var batch []events.Event // complete revisions, except the last one
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

// errHeadMoved reports that a read of the log may be incomplete, because events have left it meanwhile.
var errHeadMoved = errors.New("the head of the archive has moved")

func ignoreHeadMoved(err error) error {
	if errors.Is(err, errHeadMoved) {
		return nil
	}
	return err
}

// readArchive yields the archive's events after at and up to upto, and returns the position up to which it has yielded every
// event.
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

// ReadAt returns the archived events of p at some revisions, in ascending order, and reads each object once. An event
// whose records are all repeats of archived ones is returned without records. Events that are in the log alone, and
// those that the archive does not keep any longer, are left out.
func (r *Reader) ReadAt(ctx context.Context, p events.Partition, revisions []int64) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for reloads := 0; len(revisions) > 0; reloads++ {
			part, err := r.manifest.Load(ctx, p)
			if err == nil {
				revisions, err = r.readSelected(ctx, &part, revisions, yield)
			}
			switch {
			case err == nil, errors.Is(err, errStopped):
				return
			case errors.Is(err, archive.ErrMissing) && reloads < maxReloads: // a merge has replaced the object
			default:
				yield(events.Event{}, err)
				return
			}
		}
	}
}

// readSelected yields the events of the entries that hold some of the revisions, and returns the revisions that it has
// not read.
func (r *Reader) readSelected(ctx context.Context, part *Partition, revisions []int64, yield func(events.Event, error) bool) ([]int64, error) {
	for i := range part.Entries {
		e := &part.Entries[i].Entry
		from, _ := slices.BinarySearch(revisions, e.First.Number)
		to, _ := slices.BinarySearch(revisions, e.Last.Number+1)
		if from < to && e.Events > 0 {
			if err := r.readEntryAt(ctx, e, revisions[from:to], yield); err != nil {
				return revisions[from:], err
			}
		}
		revisions = revisions[to:]
	}
	return nil, nil
}

func (r *Reader) readEntryAt(ctx context.Context, e *archive.Entry, revisions []int64, yield func(events.Event, error) bool) error {
	if r.store == nil {
		return fmt.Errorf("reading partition %d at revision %d: %w", e.Partition, revisions[0], ErrNoArchive)
	}
	for ev, err := range r.store.ReadAt(ctx, *e, revisions) {
		if err != nil {
			return err
		}
		if ev.Revision = r.manifest.revisionOf(ev.Revision.Number); !yield(ev, nil) {
			return errStopped
		}
	}
	return nil
}
