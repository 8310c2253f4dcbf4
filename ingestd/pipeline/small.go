package pipeline

import (
	"context"
	"errors"
	"io"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/intake"
)

// A small file has been read to its end before its dialect is known. The goroutines and the buffers of a pipeline would
// cost more than its rows, so one goroutine takes it through the same steps in memory that files share.

// fileMemory is memory that one file after another uses.
type fileMemory struct {
	head           []byte // of the text's beginning
	batch          batch
	named, assumed *events.Cutter // of small files
}

// takeMemory returns memory for a file. The caller puts it back once nothing refers to it.
func (c *Processor) takeMemory() *fileMemory {
	if m, ok := c.memory.Get().(*fileMemory); ok {
		return m
	}
	return &fileMemory{}
}

func (c *Processor) putMemory(m *fileMemory) {
	m.batch.parsed.Reset()
	clear(m.batch.rows)
	c.memory.Put(m)
}

// startCutters returns the cutters of a file: of the rows whose time named its zone, and of the others. A large file's grow
// large and are its own.
func (m *fileMemory) startCutters(small bool, rules events.CutRules, upload events.UploadID, zone string) (named, assumed *events.Cutter) {
	if !small {
		return events.NewCutter(rules, upload, ""), events.NewCutter(rules, upload, zone)
	}
	if m.named == nil {
		m.named, m.assumed = events.NewCutter(rules, upload, ""), events.NewCutter(rules, upload, zone)
		return m.named, m.assumed
	}
	m.named.Restart(rules, upload, "")
	m.assumed.Restart(rules, upload, zone)
	return m.named, m.assumed
}

// runSmall takes the rows of a file that has been read through all steps of a pipeline.
func runSmall(ctx context.Context, f *intake.File, t *detectedFile, seq *sequencer, out sink, b *batch) error {
	err := RecoverToError(func() error {
		w := t.worker()
		for {
			switch err := t.scanner.Next(&b.text); {
			case errors.Is(err, io.EOF):
				if err := seq.flushEvents(ctx); err != nil {
					return err
				}
				out.closeInput()
				return out.runStage(ctx)
			case err != nil:
				return err
			}
			b.parseRows(w)
			if err := seq.takeBatch(ctx, b); err != nil {
				return err
			}
		}
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		f.StopReading(err)
	}
	return err
}

// smallAppend appends the events of a small file together.
type smallAppend struct {
	*appends
	group []events.Event
	bytes int64
}

func (a *smallAppend) putEvent(ctx context.Context, e events.Event) error {
	if err := a.throttle.AwaitPass(ctx); err != nil {
		return err
	}
	a.group = append(a.group, e)
	if a.bytes += a.eventCost(&e); a.bytes < a.capacity {
		return nil
	}
	return a.runStage(ctx)
}

// closeInput does nothing: runStage is called when there is no more.
func (a *smallAppend) closeInput() {}

// runStage appends the events put so far.
func (a *smallAppend) runStage(ctx context.Context) error {
	if len(a.group) == 0 {
		return nil
	}
	began := time.Now()
	if err := a.appendGroup(ctx, a.group); err != nil {
		return err
	}
	a.group, a.bytes = a.group[:0], 0
	return a.throttle.RestAfter(ctx, time.Since(began))
}
