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
	if err := cfg.check(); err != nil {
		return err
	}
	log, err := eventlog.Open(ctx, root, lg)
	if err != nil {
		return err
	}
	defer log.Close()
	return newTail(cfg, log, out, lg).run(ctx)
}

// tail is one command.
type tail struct {
	cfg        Config
	log        log
	partitions []events.Partition // that can hold what is wanted
	out        *output
	lg         *slog.Logger
}

func newTail(cfg Config, log log, out io.Writer, lg *slog.Logger) *tail {
	t := &tail{cfg: cfg, log: log, partitions: cfg.Filter.Partitions(log.Facts().Partitions), lg: lg}
	t.out = &output{w: out, lines: lines{filter: &t.cfg.Filter, events: cfg.Events, json: cfg.JSON}}
	return t
}

func (t *tail) run(ctx context.Context) error {
	head, err := t.log.Head(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	if err := t.whatIsThere(ctx, head); err != nil || t.cfg.Once {
		return stopped(ctx, err)
	}
	lost := &outage{lg: t.lg, out: make(map[events.Partition]bool)}
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range t.partitions {
		f := &follower{log: t.log, partition: p, after: head, lost: lost, show: func(evs []events.Event) error { return t.out.show(evs, 0) }}
		group.Go(func() error { return f.run(ctx) })
	}
	return group.Wait()
}

// stopped hides an error that is only the end of ctx.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// output is where lines go, those of a revision of a partition together. Safe for concurrent use.
type output struct {
	lines lines

	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// flushAt is how many bytes are gathered before they are written.
const flushAt = 256 << 10

// show writes events but for the first skip lines of them.
func (o *output) show(evs []events.Event, skip int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range evs {
		o.buf = o.lines.append(o.buf, &evs[i], skip)
		skip = max(skip-o.lines.count(&evs[i]), 0)
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
