package transfer

import (
	"context"
	"fmt"
	"io"
	"iter"

	"telemetry-pipeline/events"
)

// source is the input of an export: the archive and the log as if all were in the log (manifest.Reader, and Facts of
// eventlog.Log).
type source interface {
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
}

// Export writes the events of the archive and the log up to the newest revision, partition by partition and in each
// in the order of the log, and reports its progress to progress. Events that are appended meanwhile are left out.
func Export(ctx context.Context, cfg Config, from source, out, progress io.Writer) (err error) {
	within, err := cfg.validate()
	if err != nil {
		return err
	}
	to, err := cfg.openSink(from.Facts(), out)
	if err != nil {
		return err
	}
	defer func() {
		if closing := to.Close(); err == nil {
			err = closing
		}
	}()
	head, err := from.Head(ctx)
	if err != nil {
		return err
	}
	after, upto, err := cfg.positions(head)
	if err != nil {
		return err
	}
	e := exportRun{cfg: cfg, within: within, to: to, progress: newProgress(progress)}
	partitions := cfg.Filter.Partitions(from.Facts().Partitions)
	for i, p := range partitions {
		e.progress.position = fmt.Sprintf("partition %d of %d", i+1, len(partitions))
		for ev, err := range from.Read(ctx, p, after, upto) {
			if err != nil {
				return fmt.Errorf("exporting partition %d: %w", p, err)
			}
			if err := e.exportEvent(&ev); err != nil {
				return err
			}
		}
	}
	e.progress.printLine("exported %d events with %d records up to revision %s", e.events, e.records, upto)
	if e.damaged > 0 {
		e.progress.printLine("%d events are damaged: %s", e.damaged, e.damagedNote())
	}
	return nil
}

// openSink opens the destination of exported events.
func (c *Config) openSink(facts events.Facts, out io.Writer) (sink, error) {
	var f format = rowWriter{}
	if c.Format != csv {
		codec, err := events.NewCodec()
		if err != nil {
			return nil, err
		}
		f = &lineWriter{codec: codec, partitions: facts.Partitions}
	}
	if c.Out == "" {
		return &stream{w: out, format: f}, nil
	}
	suffix := "." + ndjson
	if c.Format == csv {
		suffix = "." + csv
	}
	return newFiles(c.Out, suffix, f)
}

// exportRun is an export under way.
type exportRun struct {
	cfg      Config
	within   timeRange
	to       sink
	progress *progress

	events, records, damaged int
	bytes                    int64
}

func (e *exportRun) exportEvent(ev *events.Event) error {
	if ev.Damage != nil {
		if len(e.cfg.Filter.GPUs)+len(e.cfg.Filter.Metrics) > 0 || e.cfg.From+e.cfg.To != "" || ev.Host != "" && !e.cfg.Filter.Host(ev.Host) {
			return nil
		}
		e.damaged++
		_, err := e.to.writeEvent(ev)
		return err
	}
	part, ok := selectPart(ev, &e.cfg.Filter, e.within)
	if !ok {
		return nil
	}
	n, err := e.to.writeEvent(&part)
	if err != nil {
		return err
	}
	e.events++
	e.records += part.Records()
	e.bytes += int64(n)
	e.progress.reportSometimes("exported %d events with %d records, %d bytes, %s", e.events, e.records, e.bytes, e.progress.position)
	return nil
}

// damagedNote returns the treatment of damaged events in the output.
func (e *exportRun) damagedNote() string {
	if e.cfg.Format == csv {
		return "they have no rows"
	}
	return "their lines hold what is stored of them, and import leaves them out"
}
