package ingest

import (
	"context"
	"log/slog"
	"time"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline"
)

// uploadRunner takes uploads in, for requests and for jobs in the background. It is safe for concurrent use.
type uploadRunner struct {
	*pipeline.Processor
	slots       *slots
	admission   *admission
	folded      projector
	totals      *totals
	lg          *slog.Logger
	waits       context.Context // ends when nothing waits to be visible any more
	waitTimeout time.Duration
}

// Enter takes one of the places for uploads, when the log can take more. The caller leaves it.
func (u *uploadRunner) Enter(ctx context.Context, p pipeline.Parameters) (leave func(), err error) {
	return u.enter(ctx, u.slots, p)
}

// enter takes a place among some. A dry run needs no more than the place.
func (u *uploadRunner) enter(ctx context.Context, among *slots, p pipeline.Parameters) (leave func(), err error) {
	admit := u.admission.admit
	if p.DryRun {
		admit = func() error { return nil }
	}
	if err := admit(); err != nil {
		return nil, err
	}
	if err := among.enter(ctx); err != nil {
		return nil, err
	}
	if err := admit(); err != nil { // it may have waited for its turn
		among.leave()
		return nil, err
	}
	u.totals.inFlight.Add(1)
	return func() { u.totals.inFlight.Add(-1); among.leave() }, nil
}

// AwaitVisible waits until the records of an upload are visible. The upload has left its place by then. When that takes
// too long, or the server stops, the files are stored all the same, and the receipts say so.
func (u *uploadRunner) AwaitVisible(o *answer.Outcome) {
	reached := o.Reached()
	if len(reached) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(u.waits, u.waitTimeout)
	defer cancel()
	if err := u.folded.WaitVisible(ctx, reached); err != nil {
		o.MarkNotVisible()
		u.lg.Warn("waiting for an upload to be visible", "upload", o.ID, "err", err)
	}
	o.Whole.ProcessedAt = time.Now().UTC()
}

// Record counts an upload that ended with a status, and writes the log's line of each of its files.
func (u *uploadRunner) Record(o *answer.Outcome, status int) {
	u.totals.countUpload(status, o.Whole)
	if len(o.Files) == 0 {
		u.lg.Warn("upload", "upload", o.ID, "status", status, "err", answer.WithCause(o.Err()))
	}
	for _, t := range o.Files {
		level := slog.LevelInfo
		attrs := []any{
			"upload", t.FileID, "status", status, "dialect", t.Dialect, "bytes", t.Size, "accepted", t.Accepted,
			"duplicate", t.Duplicate, "rejected", t.Rejected, "took", t.ProcessedAt.Sub(t.UploadedAt).String(),
		}
		if t.Err != nil {
			level, attrs = slog.LevelWarn, append(attrs, "err", answer.WithCause(t.Err))
		}
		u.lg.Log(u.waits, level, "upload", attrs...)
	}
	if o.Ended != nil && len(o.Files) > 0 && o.Files[len(o.Files)-1].Err == nil {
		u.lg.Warn("upload ended before its last file", "upload", o.ID, "files", len(o.Files), "err", answer.WithCause(o.Ended))
	}
}
