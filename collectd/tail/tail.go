package tail

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// Run shows the log on out until ctx ends, which is no error, or with Config.Once until it has been shown.
func Run(ctx context.Context, cfg Config, root eventlog.Config, out io.Writer, lg *slog.Logger) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	log, err := eventlog.Open(ctx, root, lg)
	if err != nil {
		return err
	}
	defer log.Close()
	return newTail(cfg, log, out, lg).showLog(ctx)
}

// tail is one command.
type tail struct {
	cfg        Config
	log        log
	partitions []events.Partition // partitions that can hold matching events
	out        *output
	lg         *slog.Logger
}

func newTail(cfg Config, log log, out io.Writer, lg *slog.Logger) *tail {
	t := &tail{cfg: cfg, log: log, partitions: cfg.Filter.Partitions(log.Facts().Partitions), lg: lg}
	t.out = &output{w: out, lines: lineFormat{filter: &t.cfg.Filter, events: cfg.Events, json: cfg.JSON}}
	return t
}

func (t *tail) showLog(ctx context.Context) error {
	head, err := t.log.Head(ctx)
	if err != nil {
		return ignoreCanceled(ctx, err)
	}
	if err := t.showStored(ctx, head); err != nil || t.cfg.Once {
		return ignoreCanceled(ctx, err)
	}
	lost := &outage{lg: t.lg, lost: make(map[events.Partition]bool)}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range t.partitions {
		f := &follower{log: t.log, partition: p, after: head, lost: lost, show: func(evs []events.Event) error { return t.out.writeEvents(evs, 0) }}
		group.Go(func() error { return f.followPartition(ctx) })
	}
	return group.Wait()
}

// ignoreCanceled returns nil for an error after the end of ctx.
func ignoreCanceled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// output writes lines; the lines of a revision of a partition stay together. Safe for concurrent use.
type output struct {
	lines lineFormat

	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// flushAt is the number of bytes that are collected before they are written.
const flushAt = 256 << 10

// writeEvents writes events except the first skip lines of them.
func (o *output) writeEvents(evs []events.Event, skip int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range evs {
		o.buf = o.lines.appendLines(o.buf, &evs[i], skip)
		skip = max(skip-o.lines.lineCount(&evs[i]), 0)
		if len(o.buf) >= flushAt {
			if err := o.flush(); err != nil {
				return err
			}
		}
	}
	return o.flush()
}

func (o *output) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}
