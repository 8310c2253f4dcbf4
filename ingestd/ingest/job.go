package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// job is an upload in the spool on its way through the server.
type job struct {
	entry  *spool.Entry
	handle *uploads.Handle
}

// maxDeaths is how many processes may end in the middle of an upload before it counts as the reason.
const maxDeaths = 5

// newJob makes an upload known, with what is known of it besides its manifest.
func (s *Server) newJob(e *spool.Entry, known uploads.Upload) *job {
	u := known
	u.ID, u.Kind, u.State, u.ReceivedAt, u.TotalBytes = e.ID, uploads.Async, uploads.Queued, e.ReceivedAt, e.Size()
	u.Files = make([]uploads.File, len(e.Files))
	for i, f := range e.Files {
		u.Files[i] = uploads.File{Name: f.Name, Size: f.Size}
	}
	return &job{entry: e, handle: s.states.Begin(u)}
}

// run tries until the upload is in the log, refused for good or cancelled, or the server stops. What another
// time may help against is tried again.
func (b *background) run(j *job) {
	ctx, cancel := context.WithCancelCause(b.ctx)
	defer cancel(nil)
	defer context.AfterFunc(j.handle.Context(), func() { cancel(context.Cause(j.handle.Context())) })()
	for tries := 0; ; tries++ {
		o := b.turn(ctx, j)
		switch r := asRefusal(o.err()); {
		case o.err() == nil && len(o.files) == len(j.entry.Files):
			b.finish(j, o, uploads.Done)
			return
		case ctx.Err() != nil:
			b.interrupted(ctx, j, o)
			return
		case r.retryAfter == 0 && r.code == codeSomeRefused:
			b.finish(j, o, uploads.Done)
			return
		case r.retryAfter == 0:
			b.finish(j, o, uploads.Failed)
			return
		default:
			b.wait(ctx, j, r, tries)
		}
	}
}

// turn is one try, once it is the upload's turn.
func (b *background) turn(ctx context.Context, j *job) *outcome {
	o := j.outcome()
	if b.slots.Acquire(ctx, 1) != nil {
		return o // of no file
	}
	defer b.slots.Release(1)
	err := caught(func() error { return b.try(ctx, j, o) })
	if err != nil {
		o.ended = err
		o.finish("")
	}
	b.s.totals.answered(o.status(), o.whole)
	b.s.logged(o, o.status())
	return o
}

// outcome is that of the upload's request, however often it is tried.
func (j *job) outcome() *outcome {
	o := newOutcome()
	o.id, o.began = j.entry.ID, j.entry.ReceivedAt
	o.whole.FileID, o.whole.UploadedAt = o.id, o.began
	return o
}

func (b *background) try(ctx context.Context, j *job, o *outcome) error {
	p, err := parseParameters(j.entry.Query, b.s.cfg.Zone, j.entry.ReceivedAt)
	if err != nil {
		return err
	}
	leave, err := b.s.enter(ctx, b.s.gate, p)
	if err != nil {
		return err
	}
	leave = sync.OnceFunc(leave)
	defer leave()
	died, err := j.entry.Start()
	if err != nil {
		return spoolRefusal(err)
	}
	defer func() {
		if err := j.entry.Pause(); err != nil {
			b.s.lg.Warn("noting that the work on an upload was paused", "upload", j.entry.ID, "err", err)
		}
	}()
	if died >= maxDeaths {
		return refuse(fiber.StatusInternalServerError, codeDeadly,
			"%d processes of the server ended in the middle of this upload, so it is not tried again; the server's log and its "+
				"memory limit may say why, and without async=true the file can be tried alone", died)
	}
	j.handle.Change(func(u *uploads.Upload) {
		u.State, u.StartedAt, u.Attempts = uploads.Processing, time.Now().UTC(), u.Attempts+1
		u.Rows, u.Bytes, u.Waiting, u.RetryAt = 0, 0, "", time.Time{}
	})
	src := &spooled{entry: j.entry, tell: func(rows, bytes int64) {
		j.handle.Change(func(u *uploads.Upload) { u.Rows, u.Bytes = rows, bytes })
	}}
	defer src.close()
	b.s.takeAll(ctx, src, p, o)
	if n := j.handle.Upload().Attempts; n > 1 {
		o.whole.Warnings = append(o.whole.Warnings, fmt.Sprintf(
			"this was attempt %d: what the ones before it had appended counts as duplicate", n))
	}
	if p.wait && o.ended == nil {
		leave()
		b.s.await(o)
	}
	return nil
}

// wait is the pause before another try.
func (b *background) wait(ctx context.Context, j *job, why *refusal, tries int) {
	pause := min(max(why.retryAfter, time.Second<<min(tries, 6)), time.Minute)
	j.handle.Change(func(u *uploads.Upload) {
		u.State, u.Waiting, u.RetryAt = uploads.Queued, why.text, time.Now().Add(pause).UTC()
	})
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

// interrupted leaves an upload to the next process, or ends one that was cancelled.
func (b *background) interrupted(ctx context.Context, j *job, o *outcome) {
	if !errors.Is(context.Cause(ctx), uploads.ErrCancelled) {
		j.handle.Change(func(u *uploads.Upload) {
			u.State, u.Waiting = uploads.Queued, "the server was stopped; it goes on when it is started again"
		})
		return
	}
	o.ended = refuse(statusClosedRequest, codeCancelled, "the upload was cancelled")
	for _, t := range o.files {
		if errors.Is(t.err, uploads.ErrCancelled) {
			t.err = o.ended
		}
	}
	o.finish("")
	b.finish(j, o, uploads.Cancelled)
}

// statusClosedRequest is what a cancelled upload counts as.
const statusClosedRequest = 499

func (b *background) finish(j *job, o *outcome, state uploads.State) {
	var body any = o.told()
	var told failure
	if err := o.err(); err != nil {
		told = o.refused(asRefusal(err))
		body = told
	}
	j.handle.Change(func(u *uploads.Upload) {
		u.State, u.Waiting, u.RetryAt = state, "", time.Time{}
		if state == uploads.Done {
			u.Rows, u.Bytes = o.whole.Metadata.Rows, u.TotalBytes
		}
		u.Error, u.Code = told.Error, told.Code
		u.Receipt = keepsake(body, o.receipts())
	})
	b.settled(j)
}
