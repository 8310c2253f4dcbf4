package transfer

import (
	"context"
	"fmt"
	"io"
	"iter"

	"telemetry-pipeline/events"
)

// source is what an export reads: the archive and the log as if all were in the log (manifest.Reader, and Facts of
// eventlog.Log).
type source interface {
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
}

// Export writes what the archive and the log hold up to the newest revision, partition by partition and in each in the
// order of the log, and tells on progress how far it is. Events that are appended meanwhile are left out.
func Export(ctx context.Context, cfg Config, from source, out, progress io.Writer) (err error) {
	within, err := cfg.check()
	if err != nil {
		return err
	}
	to, err := cfg.sink(from.Facts(), out)
	if err != nil {
		return err
	}
	defer func() {
		if closing := to.close(); err == nil {
			err = closing
		}
	}()
	head, err := from.Head(ctx)
	if err != nil {
		return err
	}
	e := exporting{cfg: cfg, within: within, to: to, told: newTold(progress)}
	partitions := cfg.Filter.Partitions(from.Facts().Partitions)
	for i, p := range partitions {
		e.told.where = fmt.Sprintf("partition %d of %d", i+1, len(partitions))
		for ev, err := range from.Read(ctx, p, events.Revision{}, head) {
			if err != nil {
				return fmt.Errorf("exporting partition %d: %w", p, err)
			}
			if err := e.event(&ev); err != nil {
				return err
			}
		}
	}
	e.told.end("exported %d events with %d records up to revision %s", e.events, e.records, head)
	if e.damaged > 0 {
		e.told.end("%d events are damaged: %s", e.damaged, e.fate())
	}
	return nil
}

// sink opens where events go.
func (c *Config) sink(facts events.Facts, out io.Writer) (sink, error) {
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

// exporting is an export under way.
type exporting struct {
	cfg    Config
	within span
	to     sink
	told   *told

	events, records, damaged int
	bytes                    int64
}

func (e *exporting) event(ev *events.Event) error {
	if ev.Damage != nil {
		if len(e.cfg.Filter.GPUs)+len(e.cfg.Filter.Metrics) > 0 || e.cfg.From+e.cfg.To != "" || ev.Host != "" && !e.cfg.Filter.Host(ev.Host) {
			return nil
		}
		e.damaged++
		_, err := e.to.write(ev)
		return err
	}
	part, ok := selected(ev, &e.cfg.Filter, e.within)
	if !ok {
		return nil
	}
	n, err := e.to.write(&part)
	if err != nil {
		return err
	}
	e.events++
	e.records += part.Records()
	e.bytes += int64(n)
	e.told.now("exported %d events with %d records, %d bytes, %s", e.events, e.records, e.bytes, e.told.where)
	return nil
}

// fate tells what became of damaged events.
func (e *exporting) fate() string {
	if e.cfg.Format == csv {
		return "they have no rows"
	}
	return "their lines hold what is stored of them, and import leaves them out"
}
