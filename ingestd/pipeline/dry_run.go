package pipeline

import (
	"context"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
)

// sink is where the events of a file go: a stage of its pipeline.
type sink interface {
	putEvent(ctx context.Context, e events.Event) error
	closeInput()
	runStage(ctx context.Context) error
	appendStats() *answer.AppendStats // once runStage has ended
}

// dryRunSink is the sink of a dry run. It counts every event as created, except repeats within the file;
// the log is not asked which of them it has.
type dryRunSink struct {
	seen  map[eventName]struct{}
	ended chan struct{}
	stats answer.AppendStats // the sequencing stage's, until ended
}

// eventName distinguishes events as their keys do.
type eventName struct {
	host     events.HostID
	first    events.Timestamp
	sequence events.ContentHash
}

func newDryRunSink() *dryRunSink {
	return &dryRunSink{
		seen: map[eventName]struct{}{}, ended: make(chan struct{}),
		stats: answer.AppendStats{Reached: map[events.Partition]events.Revision{}},
	}
}

func (r *dryRunSink) putEvent(_ context.Context, e events.Event) error {
	key := eventName{e.Host, e.First(), e.Sequence}
	_, repeat := r.seen[key]
	r.seen[key] = struct{}{}
	r.stats.CountEvent(&e, !repeat, 0, events.Ref{})
	return nil
}

func (r *dryRunSink) closeInput() { close(r.ended) }

func (r *dryRunSink) runStage(context.Context) error {
	<-r.ended // closeInput is called in every case
	return nil
}

func (r *dryRunSink) appendStats() *answer.AppendStats { return &r.stats }
