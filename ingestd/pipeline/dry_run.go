package pipeline

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
)

// sink is where the events of a file go: a stage of its pipeline.
type sink interface {
	put(ctx context.Context, e events.Event) error
	finish()
	run(ctx context.Context) error
	result() *answer.AppendStats // once run has ended
}

// dryRunSink takes the place of appending where nothing is to be appended. It counts every event as one that
// would be created, but for repeats within the file: which of them the log has is not asked.
type dryRunSink struct {
	seen  map[eventName]struct{}
	ended chan struct{}
	stats answer.AppendStats // the sequencing stage's, until ended
}

// eventName tells events apart as their keys do.
type eventName struct {
	host     events.HostID
	first    events.Timestamp
	sequence events.Sequence
}

func newDryRunSink() *dryRunSink {
	return &dryRunSink{
		seen: map[eventName]struct{}{}, ended: make(chan struct{}),
		stats: answer.AppendStats{Reached: map[events.Partition]events.Revision{}},
	}
}

func (r *dryRunSink) put(_ context.Context, e events.Event) error {
	key := eventName{e.Host, e.First(), e.Sequence}
	_, repeat := r.seen[key]
	r.seen[key] = struct{}{}
	r.stats.Add(&e, !repeat, 0, events.Revision{})
	return nil
}

func (r *dryRunSink) finish() { close(r.ended) }

func (r *dryRunSink) run(context.Context) error {
	<-r.ended // finish is called in every case
	return nil
}

func (r *dryRunSink) result() *answer.AppendStats { return &r.stats }
