package ingest

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// sink is where the events of a file go: a stage of its pipeline.
type sink interface {
	put(ctx context.Context, e events.Event) error
	finish()
	run(ctx context.Context) error
	result() *tally // once run has ended
}

// rehearsal takes the place of appending where nothing is to be appended. It counts every event as one that
// would be created, but for repeats within the file: which of them the log has is not asked.
type rehearsal struct {
	seen  map[rehearsed]struct{}
	ended chan struct{}
	tally tally // the sequencing stage's, until ended
}

// rehearsed tells events apart as their keys do.
type rehearsed struct {
	host     events.HostID
	first    events.Timestamp
	sequence events.ContentHash
}

func newRehearsal() *rehearsal {
	return &rehearsal{
		seen: map[rehearsed]struct{}{}, ended: make(chan struct{}),
		tally: tally{reached: map[events.Partition]events.Revision{}},
	}
}

func (r *rehearsal) put(_ context.Context, e events.Event) error {
	key := rehearsed{e.Host, e.First(), e.Sequence}
	_, repeat := r.seen[key]
	r.seen[key] = struct{}{}
	r.tally.add(&e, eventlog.Appended{Created: !repeat}, 0)
	return nil
}

func (r *rehearsal) finish() { close(r.ended) }

func (r *rehearsal) run(context.Context) error {
	<-r.ended // finish is called in every case
	return nil
}

func (r *rehearsal) result() *tally { return &r.tally }
