package ingest

import (
	"context"
	"io"

	"telemetry-pipeline/ingestd/rows"
)

// takeAll takes in one file after another, each with a receipt of its own; a file that is refused costs the
// others nothing. What ends the source early, or the log, ends the upload.
func (s *Server) takeAll(ctx context.Context, src source, p parameters, o *outcome) {
	for {
		f, err := src.next()
		if err == io.EOF { // not one that is wrapped: such an end is none
			break
		}
		if err == nil {
			err = context.Cause(ctx) // what is not begun has not been taken
		}
		if err != nil {
			o.ended = err
			break
		}
		t := o.begin(f.name)
		t.err = caught(func() (err error) {
			t.tally, err = s.take(ctx, f, p, t.receipt)
			return err
		})
		if o.ended = t.endsUpload(f); o.ended != nil {
			break
		}
	}
	o.finish(src.trouble())
}

// take processes one file and fills its receipt, whether it fails or not. It tells what became of the file's
// events, if any.
func (s *Server) take(ctx context.Context, f *file, p parameters, rec *receipt) (tally, error) {
	defer func() { rec.Size = f.size }()
	if p.strict && !p.dryRun {
		return s.takeStrictly(ctx, f, p, rec)
	}
	return s.process(ctx, f, p, rec)
}

// process reads a file once, and appends what it gives, or only finds out what it would.
func (s *Server) process(ctx context.Context, f *file, p parameters, rec *receipt) (tally, error) {
	if p.dryRun {
		defer rec.rehearsed()
	}
	share := s.cfg.MaxMemory / int64(s.cfg.Uploads)
	text := s.unpacked(f)
	defer text.close()
	t, err := detect(text, rows.Options{BlockBytes: blockBytes(share/2, s.cfg.Workers), MaxLine: s.cfg.Limits.LineBytes, Live: f.live != nil}, p)
	rec.Packing = text.layers()
	if err != nil {
		return tally{}, f.blame(text, err)
	}
	if len(t.headers) > s.cfg.Limits.Columns {
		return tally{}, tooManyColumns(len(t.headers), s.cfg.Limits.Columns)
	}
	rec.Dialect, rec.Headers = t.dialect, t.headers

	var out sink = newRehearsal()
	if !p.dryRun {
		out = newAppending(s.log, s.admission, max(share/2, 1<<20), s.cfg.AppendTimeout, s.totals.appendSeconds.Observe)
	}
	seq := newSequencer(s.log.Facts().Cut, rec.FileID, p.zone, out)
	seq.strict, seq.progress = p.strict, f.progress
	line := newPipeline(s.cfg.Workers)
	if f.live != nil {
		line.pace = newPace(s.cfg.Streams, f.live)
	} else {
		seq.maxRows = s.cfg.Limits.Rows
	}
	err = line.run(ctx, f.stop, t, seq, out)
	rec.fill(seq, out.result(), p.zone)
	if err != nil {
		return *out.result(), err
	}
	rec.complete(f, seq)
	return *out.result(), rec.verdict(t.bare)
}

// blockBytes shares bytes between the batches of a pipeline. A batch occupies about four times its text: that
// itself twice, its rows and their records.
func blockBytes(share int64, workers int) int {
	const least, most, times = 32 << 10, 256 << 10, 4
	return int(min(max(share/int64(batchesOf(workers))/times, least), most))
}
