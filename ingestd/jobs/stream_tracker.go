package jobs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/uploads"
)

// publishAfter is the age at which the state of a live stream is published. Most bodies in chunks are files, and
// over by then.
const publishAfter = 2 * time.Second

// StreamTracker publishes the state of a live stream while it lasts, and lets it be cancelled like an upload in the
// background. It is the stream's source, watched.
type StreamTracker struct {
	intake.Source
	states  *uploads.Registry
	body    *intake.Body
	outcome *answer.Outcome
	owner   string // id of the sender

	rows, bytes atomic.Int64
	name        atomic.Pointer[string]
	handle      *uploads.Handle // the goroutine's, until done
	cancel      context.CancelFunc
	done        sync.WaitGroup
}

// TrackStream begins to watch a stream of an owner, "" for nobody. The caller calls PublishEnd when all of it was processed.
func TrackStream(states *uploads.Registry, b *intake.Body, src intake.Source, o *answer.Outcome, owner string) *StreamTracker {
	ctx, cancel := context.WithCancel(context.Background())
	k := &StreamTracker{Source: src, states: states, body: b, outcome: o, owner: owner, cancel: cancel}
	k.name.Store(new(string))
	k.done.Go(func() { k.publishProgress(ctx) })
	return k
}

// NextFile returns the next file of the stream, watched.
func (k *StreamTracker) NextFile() (*intake.File, error) {
	f, err := k.Source.NextFile()
	if err != nil {
		return nil, err
	}
	k.name.Store(&f.Name)
	f.Text = &countingReader{f.Text, &k.bytes}
	f.Progress = k.rows.Store
	return f, nil
}

// publishProgress publishes the stream's state once it has lasted for publishAfter, and updates it until ctx ends.
func (k *StreamTracker) publishProgress(ctx context.Context) {
	if !wait.Sleep(ctx, publishAfter) {
		return
	}
	k.handle = k.states.Begin(uploads.Upload{
		ID: k.outcome.ID, Owner: k.owner, Kind: uploads.Stream, State: uploads.Processing, Files: []uploads.File{{Name: *k.name.Load()}},
		ReceivedAt: k.outcome.BeganAt, StartedAt: k.outcome.BeganAt, Attempts: 1, Rows: k.rows.Load(), Bytes: k.bytes.Load(),
	})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	wished := k.handle.Context().Done()
	for {
		select {
		case <-tick.C:
			if rows, bytes := k.rows.Load(), k.bytes.Load(); bytes != k.handle.Upload().Bytes {
				k.handle.Change(func(u *uploads.Upload) { u.Rows, u.Bytes = rows, bytes })
			}
		case <-wished:
			wished = nil
			k.body.StopReading(answer.Refuse(answer.CodeCancelled, "the stream was cancelled"))
		case <-ctx.Done():
			return
		}
	}
}

// PublishEnd publishes how the stream ended, if its state was published before.
func (k *StreamTracker) PublishEnd() {
	k.cancel()
	k.done.Wait()
	if k.handle == nil {
		return
	}
	shown, rec := *k.outcome, *k.outcome.Whole // the kept copy is truncated, the answer is not
	shown.Whole = &rec
	state, body, failed := uploads.Done, any(shown.Response()), answer.Failure{}
	if err := k.outcome.Err(); err != nil {
		failed = shown.ErrorResponse(answer.RefusalOf(err))
		state, body = uploads.Failed, failed
		if errors.Is(context.Cause(k.handle.Context()), uploads.ErrCancelled) && failed.Code == answer.CodeCancelled {
			state = uploads.Cancelled
		}
	}
	k.handle.Change(func(u *uploads.Upload) {
		u.State, u.Error, u.Code = state, failed.Error, failed.Code
		u.Rows, u.Bytes = k.rows.Load(), k.bytes.Load()
		u.Files = []uploads.File{{Name: *k.name.Load(), Size: u.Bytes}}
		u.Receipt, u.Spans = answer.TruncatedReceipt(body, []*answer.Receipt{&rec}), k.outcome.Spans()
	})
}
