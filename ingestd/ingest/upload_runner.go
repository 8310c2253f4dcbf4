package ingest

import (
	"context"
	"log/slog"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/projections/snapshot"
)

// uploadRunner takes uploads in, for requests and for jobs in the background. It is safe for concurrent use.
type uploadRunner struct {
	*pipeline.Processor
	slots       *slots
	admission   *admission
	folded      projector
	totals      *totals
	lg          *slog.Logger
	guard       *access.Guard
	waits       context.Context // ends when nothing waits to be visible any more
	waitTimeout time.Duration
}

// AcquireSlot takes one of the slots for uploads if the log can take more. The caller releases it by leave.
func (u *uploadRunner) AcquireSlot(ctx context.Context, p pipeline.Parameters) (leave func(), err error) {
	return u.acquireFrom(ctx, u.slots, 1, p)
}

// acquireFrom takes places of some slots. A dry run needs no more than these.
func (u *uploadRunner) acquireFrom(ctx context.Context, among *slots, places int64, p pipeline.Parameters) (leave func(), err error) {
	admit := u.admission.admitUpload
	if p.DryRun {
		admit = func() error { return nil }
	}
	if err := admit(); err != nil {
		return nil, err
	}
	release, err := among.acquireSlot(ctx, p.Sender.OwnerID(), places)
	if err != nil {
		return nil, err
	}
	if err := admit(); err != nil { // it may have waited for its turn
		release()
		return nil, err
	}
	u.totals.inFlight.Add(1)
	return func() { u.totals.inFlight.Add(-1); release() }, nil
}

// AwaitVisible waits until the records of an upload are visible. The upload has released its slot by then. When that takes
// too long, or the server stops, the files are stored all the same, and the receipts say so. Waiting is a step of
// the request's trace, and does not end with the request.
func (u *uploadRunner) AwaitVisible(request context.Context, o *answer.Outcome) {
	stats := o.AcceptedStats()
	if len(stats.Reached) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(trace.WithTraceOf(access.WithRequestOf(u.waits, request), request), u.waitTimeout)
	defer cancel()
	ctx, span := trace.StartChild(ctx, "wait until visible")
	defer span.End(nil)
	if err := u.folded.WaitVisible(ctx, stats.Reached); err != nil {
		o.MarkNotVisible()
		span.Fail()
		u.lg.WarnContext(ctx, "waiting for an upload to be visible", "upload", o.ID, "err", err)
	} else {
		u.lookInQuarantine(ctx, o, &stats)
	}
	o.Whole.ProcessedAt = time.Now().UTC()
}

// lookInQuarantine notes in the outcome which events of the upload could not be folded.
func (u *uploadRunner) lookInQuarantine(ctx context.Context, o *answer.Outcome, stats *answer.AppendStats) {
	found, err := u.quarantineOf(ctx, o.ID, stats.Spans, stats.Existing)
	if err != nil {
		o.Whole.Warnings = append(o.Whole.Warnings, "everything is stored, but it is not known whether all of it could be folded; see /api/v1/quarantine of the query server")
		u.lg.WarnContext(ctx, "looking for an upload in the quarantine", "upload", o.ID, "err", err)
	}
	o.MarkQuarantined(found)
}

// shownEntries is the maximum number of quarantine entries in an answer.
const shownEntries = 10

// quarantineOf returns the quarantined events of an upload that was folded up to the end of spans.
func (u *uploadRunner) quarantineOf(ctx context.Context, id events.UploadID, spans map[events.Partition][2]int64, existing []events.Ref) (answer.Quarantine, error) {
	filter := snapshot.UploadFilter{ID: id, Spans: spans, Existing: map[[16]byte]bool{}, Shown: shownEntries}
	for _, ref := range existing {
		filter.Existing[snapshot.EntryIDOf(ref.Key, ref.Revision).Event] = true
	}
	found, err := u.folded.QuarantinedOf(ctx, filter)
	if err != nil {
		return answer.Quarantine{}, err
	}
	q := answer.Quarantine{QuarantinedEvents: found.Events, QuarantinedRecords: found.Records}
	for _, e := range append(found.Shown, found.Summaries...) {
		q.Quarantined = append(q.Quarantined, answer.QuarantinedEntry{
			Partition: int(e.Partition), Entry: e.ID.String(), Key: e.Key, Reason: e.Reason, Text: e.Text, Records: e.Records, Partial: e.Partial, Events: e.Events,
		})
	}
	q.Quarantined = q.Quarantined[:min(len(q.Quarantined), 2*shownEntries)]
	return q, nil
}

// RecordEnd writes the end of an upload in the background to the audit log.
func (u *uploadRunner) RecordEnd(o *answer.Outcome, owner string) {
	end := access.Action{RequestID: string(o.ID), Method: "async", Route: uploadPath, Decision: access.Allowed, Detail: uploadDetail(o, o.Status())}
	if owner != "" {
		end.Principal = &access.Principal{ID: owner}
	}
	u.guard.Record(end)
}

// uploadDetail returns what the audit log says about an upload that ended with a status: numbers only.
func uploadDetail(o *answer.Outcome, status int) []slog.Attr {
	return []slog.Attr{
		slog.String("upload", string(o.ID)), slog.Int("status", status), slog.Int("files", len(o.Files)), slog.Int64("bytes", o.Whole.Size),
		slog.Int64("accepted", o.Whole.Accepted), slog.Int64("duplicate", o.Whole.Duplicate), slog.Int64("rejected", o.Whole.Rejected),
	}
}

// RecordUpload counts an upload that ended with a status, and writes the log's line of each of its files, with the request and the
// trace of ctx.
func (u *uploadRunner) RecordUpload(ctx context.Context, o *answer.Outcome, status int) {
	u.totals.countUpload(status, o)
	if len(o.Files) == 0 {
		u.lg.WarnContext(ctx, "upload", "upload", o.ID, "status", status, "err", answer.ErrorForLog(o.Err()))
	}
	for _, t := range o.Files {
		level := slog.LevelInfo
		attrs := []slog.Attr{
			slog.String("upload", string(t.FileID)), slog.Int("status", status), slog.String("dialect", t.Dialect), slog.Int64("bytes", t.Size),
			slog.Int64("accepted", t.Accepted), slog.Int64("duplicate", t.Duplicate), slog.Int64("rejected", t.Rejected),
			slog.String("took", t.ProcessedAt.Sub(t.UploadedAt).String()),
		}
		if t.Err != nil {
			level, attrs = slog.LevelWarn, append(attrs, slog.Any("err", answer.ErrorForLog(t.Err)))
		}
		u.lg.LogAttrs(ctx, level, "upload", attrs...)
	}
	if o.Ended != nil && len(o.Files) > 0 && o.Files[len(o.Files)-1].Err == nil {
		u.lg.WarnContext(ctx, "upload ended before its last file", "upload", o.ID, "files", len(o.Files), "err", answer.ErrorForLog(o.Ended))
	}
}
