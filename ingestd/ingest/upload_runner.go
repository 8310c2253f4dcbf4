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

// AcquireSlot takes one of the slots for uploads if the log can take more. The caller releases it by leave.
func (u *uploadRunner) AcquireSlot(ctx context.Context, p pipeline.Parameters) (leave func(), err error) {
	return u.acquireFrom(ctx, u.slots, p)
}

// acquireFrom takes one of some slots. A dry run needs no more than the slot.
func (u *uploadRunner) acquireFrom(ctx context.Context, among *slots, p pipeline.Parameters) (leave func(), err error) {
	admit := u.admission.admitUpload
	if p.DryRun {
		admit = func() error { return nil }
	}
	if err := admit(); err != nil {
		return nil, err
	}
	if err := among.acquireSlot(ctx); err != nil {
		return nil, err
	}
	if err := admit(); err != nil { // it may have waited for its turn
		among.releaseSlot()
		return nil, err
	}
	u.totals.inFlight.Add(1)
	return func() { u.totals.inFlight.Add(-1); among.releaseSlot() }, nil
}

// AwaitVisible waits until the records of an upload are visible. The upload has released its slot by then. When that takes
// too long, or the server stops, the files are stored all the same, and the receipts say so.
func (u *uploadRunner) AwaitVisible(o *answer.Outcome) {
	reached := o.ReachedRevisions()
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

// RecordUpload counts an upload that ended with a status, and writes the log's line of each of its files.
func (u *uploadRunner) RecordUpload(o *answer.Outcome, status int) {
	u.totals.countUpload(status, o.Whole)
	if len(o.Files) == 0 {
		u.lg.Warn("upload", "upload", o.ID, "status", status, "err", answer.ErrorForLog(o.Err()))
	}
	for _, t := range o.Files {
		level := slog.LevelInfo
		attrs := []any{
			"upload", t.FileID, "status", status, "dialect", t.Dialect, "bytes", t.Size, "accepted", t.Accepted,
			"duplicate", t.Duplicate, "rejected", t.Rejected, "took", t.ProcessedAt.Sub(t.UploadedAt).String(),
		}
		if t.Err != nil {
			level, attrs = slog.LevelWarn, append(attrs, "err", answer.ErrorForLog(t.Err))
		}
		u.lg.Log(u.waits, level, "upload", attrs...)
	}
	if o.Ended != nil && len(o.Files) > 0 && o.Files[len(o.Files)-1].Err == nil {
		u.lg.Warn("upload ended before its last file", "upload", o.ID, "files", len(o.Files), "err", answer.ErrorForLog(o.Ended))
	}
}
