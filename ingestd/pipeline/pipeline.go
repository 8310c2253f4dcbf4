package pipeline

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// batch is rows on their way through the pipeline, with their records once a worker has parsed them. Its memory is
// reused.
type batch struct {
	text   rows.Batch
	parsed dialect.Parsed
	rows   []rowResult
	done   wait.Signal // set once the worker has finished
}

// rowResult is the result of one row for one host: the records in parsed up to records, starting behind the records
// of the result before.
type rowResult struct {
	host        events.HostID
	size        int
	records     int
	zoneAssumed bool
	more        bool // the row's records of another host follow
	line        int
}

// pipeline processes one file. Every stage is a goroutine of its group; any stage's error ends the others.
type pipeline struct {
	workers int
	cutter  *streamCutter // of a live stream; nil: events are cut by the content alone
	free    chan *batch   // to be filled
	work    chan *batch   // to be parsed, in any order
	ordered chan *batch   // the same batches in file order
	readErr error         // how the file ended when that was not clean; set before ordered is closed
}

// batchCount returns the number of batches of a pipeline: one per worker, one being read, one being sequenced.
func batchCount(workers int) int { return workers + 2 }

func newPipeline(workers int) *pipeline {
	n := batchCount(workers)
	p := &pipeline{
		workers: workers,
		free:    make(chan *batch, n),
		work:    make(chan *batch, n),
		ordered: make(chan *batch, n),
	}
	for range n {
		p.free <- &batch{done: wait.NewSignal()}
	}
	return p
}

// runStages reads the file to its end and appends its events. An error of the file itself is no error of a stage: the
// part before it goes through, and only the events still open are not cut, so that the same file sent again in full
// is cut at the same places; a live stream is not sent again, so all of it goes through. An error of a stage also
// stops the reading of the file.
func (p *pipeline) runStages(ctx context.Context, stop func(error), t *detectedFile, seq *sequencer, out sink) error {
	stages, ctx := errgroup.WithContext(ctx)
	var failed sync.Once
	start := func(stage func(ctx context.Context) error) {
		stages.Go(func() error {
			err := RecoverToError(func() error { return stage(ctx) })
			if err != nil {
				failed.Do(func() { stop(err) })
			}
			return err
		})
	}
	start(func(ctx context.Context) error { return p.readBatches(ctx, t.scanner) })
	workers := p.workers
	if t.serial {
		workers = 1
	}
	for range workers {
		w := t.worker()
		start(func(ctx context.Context) error { return p.parseBatches(ctx, w) })
	}
	start(func(ctx context.Context) error {
		defer out.closeInput()
		defer p.cutter.stopTimer()
		if err := p.sequenceBatches(ctx, seq); err != nil || p.readErr != nil && p.cutter == nil {
			return err
		}
		return seq.flushEvents(ctx)
	})
	start(out.runStage)
	if err := stages.Wait(); err != nil {
		return err
	}
	return p.readErr
}

// readBatches fills batches until the file ends.
func (p *pipeline) readBatches(ctx context.Context, sc *rows.Scanner) error {
	defer close(p.work)
	defer close(p.ordered)
	for {
		var b *batch
		select {
		case b = <-p.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		switch err := sc.Next(&b.text); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			p.readErr = err
			return nil
		}
		p.ordered <- b // neither blocks: there are as many places as batches
		p.work <- b
	}
}

// parseBatches turns rows into records until there are no more.
func (p *pipeline) parseBatches(ctx context.Context, w dialect.Worker) error {
	for {
		select {
		case b, ok := <-p.work:
			if !ok {
				return nil
			}
			b.parseRows(w)
			b.done.Set()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *batch) parseRows(w dialect.Worker) {
	b.parsed.Reset()
	b.rows = b.rows[:0]
	for row := range b.text.Rows() {
		from := len(b.parsed.Records)
		w.Parse(row, &b.parsed)
		result := rowResult{b.parsed.Host, row.Size, len(b.parsed.Records), b.parsed.ZoneAssumed, false, row.Line}
		if len(b.parsed.Runs) > 1 {
			b.splitResult(result, from)
			continue
		}
		b.rows = append(b.rows, result)
	}
}

// splitResult appends a result for each host of a row whose records begin at from; each has its share of the text.
func (b *batch) splitResult(whole rowResult, from int) {
	at, all := from, whole.records-from
	for _, run := range b.parsed.Runs {
		at += run.Records
		b.rows = append(b.rows, rowResult{run.Host, whole.size * run.Records / all, at, whole.zoneAssumed, at < whole.records, whole.line})
	}
}

// sequenceBatches passes the batches to the sequencer in file order.
func (p *pipeline) sequenceBatches(ctx context.Context, seq *sequencer) error {
	for {
		select {
		case b, ok := <-p.ordered:
			if !ok {
				return nil
			}
			select {
			case <-b.done.C():
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			before := seq.records
			if err := seq.takeBatch(ctx, b); err != nil {
				return err
			}
			p.cutter.addRecords(seq.records - before)
			p.free <- b
		case <-p.cutter.dueTimes():
			if len(p.ordered) > 0 {
				p.cutter.resetTimer()
				continue
			}
			if !p.cutter.shouldCut() {
				continue
			}
			if err := seq.flushEvents(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
