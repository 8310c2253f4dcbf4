package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// Job is an upload in the spool that is processed in the background.
type Job struct {
	entry  *spool.Upload
	handle *uploads.Handle
	causes []events.TraceContext // of the request, if it was sampled; not changed once the job runs
}

// maxCrashes is the number of processes that may end in the middle of an upload before it counts as the reason.
const maxCrashes = 5

// newJob publishes an upload, with the state known of it besides its manifest.
func (b *Background) newJob(e *spool.Upload, known uploads.Upload) *Job {
	u := known
	u.ID, u.Kind, u.State, u.ReceivedAt, u.TotalBytes = e.ID, uploads.Async, uploads.Queued, e.ReceivedAt, e.Size()
	if e.Owner != nil {
		u.Owner = e.Owner.ID
	}
	u.Files = make([]uploads.File, len(e.Files))
	for i, f := range e.Files {
		u.Files[i] = uploads.File{Name: f.Name, Size: f.Size}
	}
	return &Job{entry: e, handle: b.states.Begin(u)}
}

// Upload returns the state of the upload.
func (j *Job) Upload() uploads.Upload { return j.handle.Upload() }

// AwaitStored waits until the state of the upload is in etcd.
func (j *Job) AwaitStored(ctx context.Context) error { return j.handle.WaitStored(ctx) }

// Manifest returns the description of the upload in the spool.
func (j *Job) Manifest() spool.Manifest { return j.entry.Manifest }

// Size returns the bytes of the upload's files.
func (j *Job) Size() int64 { return j.entry.Size() }

// runJob repeats attempts until the upload is in the log, refused for good or cancelled, or the server stops. An
// error that another attempt may not meet is followed by another attempt.
func (b *Background) runJob(j *Job) {
	ctx, cancel := context.WithCancelCause(b.ctx)
	defer cancel(nil)
	defer context.AfterFunc(j.handle.Context(), func() { cancel(context.Cause(j.handle.Context())) })()
	backoff := wait.Backoff{Least: 2 * time.Second, Most: time.Minute}
	for {
		o := b.attemptJob(ctx, j)
		switch r := answer.RefusalOf(o.Err()); {
		case o.Err() == nil && len(o.Files) == len(j.entry.Files):
			b.finishJob(j, o, uploads.Done)
			return
		case ctx.Err() != nil:
			b.endInterrupted(ctx, j, o)
			return
		case r.RetryAfter == 0 && r.Code == answer.CodeSomeRefused:
			b.finishJob(j, o, uploads.Done)
			return
		case r.RetryAfter == 0:
			b.finishJob(j, o, uploads.Failed)
			return
		default:
			b.awaitRetry(ctx, j, r, backoff.Next())
		}
	}
}

// attemptJob makes one attempt, once a worker is free, and returns its outcome.
func (b *Background) attemptJob(ctx context.Context, j *Job) *answer.Outcome {
	o := j.newOutcome()
	leave, err := b.turns.await(ctx, j.handle.Upload().Owner)
	if err != nil {
		return o // of no file
	}
	defer leave()
	ctx, span := b.cfg.Tracer.StartLinked(ctx, "process upload", time.Now(), j.causes)
	span.SetText("telemetry.upload", string(o.ID))
	err = pipeline.RecoverToError(func() error { return b.processEntry(ctx, j, o) })
	if err != nil {
		o.Ended = err
		o.SumUp("")
	}
	b.uploads.RecordUpload(ctx, o, o.Status())
	span.End(o.Err())
	return o
}

// newOutcome returns an empty outcome of the upload's request.
func (j *Job) newOutcome() *answer.Outcome {
	o := answer.NewOutcome()
	o.ID, o.BeganAt = j.entry.ID, j.entry.ReceivedAt
	o.Whole.FileID, o.Whole.UploadedAt = o.ID, o.BeganAt
	return o
}

func (b *Background) processEntry(ctx context.Context, j *Job, o *answer.Outcome) error {
	p, err := pipeline.ParseParameters(j.entry.Query, b.cfg.Zone, j.entry.ReceivedAt)
	if err != nil {
		return err
	}
	if p.Sender, err = senderOf(j.entry.Owner); err != nil {
		return err
	}
	leave, err := b.uploads.AcquireSlot(ctx, p)
	if err != nil {
		return err
	}
	leave = sync.OnceFunc(leave)
	defer leave()
	died, err := j.entry.BeginRun()
	if err != nil {
		return refuseSpool(err)
	}
	defer func() {
		if err := j.entry.EndRun(); err != nil {
			b.lg.Warn("recording the end of a run of an upload", "upload", j.entry.ID, "err", err)
		}
	}()
	if died >= maxCrashes {
		return answer.Refuse(answer.CodeServerDied,
			"%d processes of the server ended in the middle of this upload, so it is not tried again; the server's log and its "+
				"memory limit may say why, and without async=true the file can be tried alone", died)
	}
	j.handle.Change(func(u *uploads.Upload) {
		u.State, u.StartedAt, u.Attempts = uploads.Processing, time.Now().UTC(), u.Attempts+1
		u.Rows, u.Bytes, u.Waiting, u.RetryAt = 0, 0, "", time.Time{}
	})
	src := &spooledFiles{entry: j.entry, report: func(rows, bytes int64) {
		j.handle.Change(func(u *uploads.Upload) { u.Rows, u.Bytes = rows, bytes })
	}}
	defer src.closeCurrent()
	b.uploads.ProcessUpload(ctx, src, p, o)
	if n := j.handle.Upload().Attempts; n > 1 {
		o.Whole.Warnings = append(o.Whole.Warnings, fmt.Sprintf(
			"this was attempt %d: what the ones before it had appended counts as duplicate", n))
	}
	if p.Wait && o.Ended == nil {
		leave()
		b.uploads.AwaitVisible(ctx, o)
	}
	return nil
}

// awaitRetry waits before another attempt: the time that the refusal names, or the backoff if that is longer.
func (b *Background) awaitRetry(ctx context.Context, j *Job, why *answer.Refusal, backoff time.Duration) {
	pause := min(max(why.RetryAfter, backoff), time.Minute)
	j.handle.Change(func(u *uploads.Upload) {
		u.State, u.Waiting, u.RetryAt = uploads.Queued, why.Text, time.Now().Add(pause).UTC()
	})
	wait.Sleep(ctx, pause)
}

// endInterrupted leaves an upload to the next process, or ends one that was cancelled.
func (b *Background) endInterrupted(ctx context.Context, j *Job, o *answer.Outcome) {
	if !errors.Is(context.Cause(ctx), uploads.ErrCancelled) {
		j.handle.Change(func(u *uploads.Upload) {
			u.State, u.Waiting = uploads.Queued, "the server was stopped; it goes on when it is started again"
		})
		return
	}
	o.Ended = answer.Refuse(answer.CodeCancelled, "the upload was cancelled")
	for _, t := range o.Files {
		if errors.Is(t.Err, uploads.ErrCancelled) {
			t.Err = o.Ended
		}
	}
	o.SumUp("")
	b.finishJob(j, o, uploads.Cancelled)
}

func (b *Background) finishJob(j *Job, o *answer.Outcome, state uploads.State) {
	var body any = o.Response()
	var failed answer.Failure
	if err := o.Err(); err != nil {
		failed = o.ErrorResponse(answer.RefusalOf(err))
		body = failed
	}
	j.handle.Change(func(u *uploads.Upload) {
		u.State, u.Waiting, u.RetryAt = state, "", time.Time{}
		if state == uploads.Done {
			u.Rows, u.Bytes = o.Whole.Metadata.Rows, u.TotalBytes
		}
		u.Error, u.Code = failed.Error, failed.Code
		u.Receipt, u.Spans = answer.TruncatedReceipt(body, o.Receipts()), o.Spans()
	})
	b.storeFinalState(j)
	b.uploads.RecordEnd(o, j.handle.Upload().Owner)
}
