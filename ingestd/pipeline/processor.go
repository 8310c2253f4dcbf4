package pipeline

import (
	"context"
	"io"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/rows"
	"telemetry-pipeline/ingestd/unpack"
	"telemetry-pipeline/projections"
)

// Config bounds the processing of one upload.
type Config struct {
	Workers       int           // parsers of a file
	MemoryBytes   int64         // in flight between the socket and the log
	AppendTimeout time.Duration // for one append, retries included
	Limits        intake.Limits
	Streams       intake.Streams
	Unpacking     unpack.Options
	Bounds        bounds.Config // of the fleet that the uploads describe
}

// appender is the part of the log that the pipeline needs. A nil error of Append means that every event is durable; the
// results say of each, in order, whether it was created or was there already, and its revision. After an error some
// events may be there; appending them again does no harm. Append does not keep the events.
type appender interface {
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
	Facts() events.Facts
}

// hostReader reads the stored models of a host. The zero Host means that there are none, or that they cannot be read.
type hostReader interface {
	ReadHost(ctx context.Context, host events.HostID) projections.Host
}

// throttle slows uploads down and stops them when the log cannot take more.
type throttle interface {
	// AwaitPass returns when an event may go on to the log, or an error when its upload has to end.
	AwaitPass(ctx context.Context) error
	// MeasureAppend carries out an append and takes note of its course.
	MeasureAppend(group []events.Event, partitions int, do func() ([]eventlog.Appended, error)) ([]eventlog.Appended, error)
	// RestAfter pauses between appends, after one that took so long.
	RestAfter(ctx context.Context, took time.Duration) error
}

// Processor takes files in: it reads their rows and appends their events. It is safe for concurrent use.
type Processor struct {
	cfg      Config
	log      appender
	throttle throttle
	ledger   *bounds.Ledger
	observe  func(seconds float64) // is called with the time of each append
	keepFile func(*intake.File) (drop func(), err error)
	grammars []dialect.Grammar
	known    *dialect.KnownOrigins
	memory   sync.Pool // of *fileMemory
}

// New returns a processor that appends to a log. stored holds the models of the log's hosts. keep makes a file rereadable
// that is not, until drop is called.
func New(cfg Config, log appender, stored hostReader, t throttle, observe func(seconds float64), keep func(*intake.File) (drop func(), err error)) *Processor {
	return &Processor{
		cfg: cfg, log: log, throttle: t, ledger: bounds.NewLedger(cfg.Bounds, stored), observe: observe, keepFile: keep, grammars: Grammars(),
		known: dialect.NewKnownOrigins(),
	}
}

// KnownOrigins returns the cache of origins that all files share.
func (c *Processor) KnownOrigins() *dialect.KnownOrigins { return c.known }

// ProcessUpload processes one file after another, each with a receipt of its own. A refused file costs the others nothing. An
// early end of the source, or of the log, ends the upload.
func (c *Processor) ProcessUpload(ctx context.Context, src intake.Source, p Parameters, o *answer.Outcome) {
	for {
		f, err := src.NextFile()
		if err == io.EOF { // a wrapped one is no end
			break
		}
		if err == nil {
			err = context.Cause(ctx) // an upload that ended begins no further file
		}
		if err != nil {
			o.Ended = err
			break
		}
		t := o.BeginFile(f.Name)
		t.Err = RecoverToError(func() (err error) {
			t.Stats, err = c.ProcessFile(ctx, f, p, t.Receipt)
			return err
		})
		if o.Ended = uploadError(f, t.Err); o.Ended != nil {
			break
		}
	}
	o.SumUp(src.Warning())
}

// uploadError returns the error of a file if no other file can be read or stored after it.
func uploadError(f *intake.File, err error) error {
	if err == nil {
		return nil
	}
	if broken := f.SourceError(); broken != nil || answer.CostsOneFile(err) {
		return broken
	}
	return err
}

// ProcessFile processes one file and fills its receipt, with or without an error. It returns the counts of the file's
// events.
func (c *Processor) ProcessFile(ctx context.Context, f *intake.File, p Parameters, rec *answer.Receipt) (answer.AppendStats, error) {
	defer func() { rec.Size = f.Size }()
	if p.Strict && !p.DryRun {
		return c.processStrictly(ctx, f, p, rec)
	}
	return c.processOnce(ctx, f, p, rec)
}

// processOnce reads a file once, and appends its events unless it is a dry run.
func (c *Processor) processOnce(ctx context.Context, f *intake.File, p Parameters, rec *answer.Receipt) (answer.AppendStats, error) {
	if p.DryRun {
		defer rec.MarkDryRun()
	}
	p.Options.Known = c.known
	text := intake.Unpack(f, c.cfg.Unpacking)
	defer text.Close()
	memory := c.takeMemory()
	defer c.putMemory(memory)
	sc := rows.NewScanner(text, rows.Options{
		BlockBytes: blockBytes(c.cfg.MemoryBytes/2, c.cfg.Workers), MaxLine: c.cfg.Limits.LineBytes, Live: f.Live != nil, Memory: memory.head,
	})
	defer func() { memory.head = sc.Memory() }()
	t, err := detectDialect(sc, c.grammars, p)
	rec.Packing = text.Layers()
	if err != nil {
		return answer.AppendStats{}, f.DetectBomb(text, err)
	}
	if len(t.headers) > c.cfg.Limits.Columns {
		return answer.AppendStats{}, tooManyColumns(len(t.headers), c.cfg.Limits.Columns)
	}
	rec.Dialect, rec.Headers = t.dialect, t.headers

	small := t.small && f.Live == nil
	out := c.newSink(p.DryRun, small)
	stored := false
	bound := c.ledger.Begin(p.Sender.OwnerID())
	defer func() { bound.Close(stored && !p.DryRun) }()
	named, assumed := memory.startCutters(small, c.log.Facts().Cut, rec.FileID, p.Zone)
	seq := newSequencer(named, assumed, out, bound)
	seq.strict, seq.progress, seq.allowed = p.Strict, f.Progress, newPermission(p.Sender)
	if f.Live == nil {
		seq.maxRows = c.cfg.Limits.Rows
	}
	if small {
		err = runSmall(ctx, f, t, seq, out, &memory.batch)
	} else {
		err = c.runPipeline(ctx, f, t, seq, out)
	}
	fillReceipt(rec, seq, out.appendStats(), p.Zone)
	stored = err == nil || f.Live != nil && rec.RecordCount > 0 // a stream's rows stay, however it ends
	if err != nil {
		return *out.appendStats(), err
	}
	completeReceipt(rec, f, seq)
	return *out.appendStats(), rec.CheckUsable(t.bare)
}

// runPipeline takes a file through a pipeline.
func (c *Processor) runPipeline(ctx context.Context, f *intake.File, t *detectedFile, seq *sequencer, out sink) error {
	if f.Enlarge != nil {
		leave, err := f.Enlarge(ctx)
		if err != nil {
			return err
		}
		defer leave()
	}
	line := newPipeline(c.cfg.Workers)
	if f.Live != nil {
		line.cutter = newStreamCutter(c.cfg.Streams, f.Live)
	}
	return line.runStages(ctx, f.StopReading, t, seq, out)
}

// blockBytes shares bytes between the batches of a pipeline. A batch occupies about four times its text: that
// itself twice, its rows and their records.
func blockBytes(share int64, workers int) int {
	const least, most, times = 32 << 10, 256 << 10, 4
	return int(min(max(share/int64(batchCount(workers))/times, least), most))
}

func tooManyRows(most int64) error {
	return answer.Refuse(answer.CodeTooManyRows,
		"the file has more than %d rows, the most this server takes; split it, or raise the flag ingest.max-rows", most)
}

func tooManyColumns(has, most int) error {
	return answer.Refuse(answer.CodeTooManyColumns,
		"the file has %d columns, and this server takes %d at most; leave some out, or raise the flag ingest.max-columns", has, most)
}
