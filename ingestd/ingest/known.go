package ingest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/ingestd/uploads"
)

// knownAfter is how long a live stream lasts before others are told of it. Most bodies in chunks are files, and
// over by then.
const knownAfter = 2 * time.Second

// known is a live stream whose state is told while it goes on, and which can be cancelled like an upload in
// the background. It is a source: that of the stream, watched.
type known struct {
	source
	s    *Server
	body *body
	o    *outcome

	rows, bytes atomic.Int64
	name        atomic.Pointer[string]
	handle      *uploads.Handle // the goroutine's, until done
	cancel      context.CancelFunc
	done        sync.WaitGroup
}

// know begins to watch a stream. end has to be called when all of it was taken.
func (s *Server) know(b *body, src source, o *outcome) *known {
	ctx, cancel := context.WithCancel(context.Background())
	k := &known{source: src, s: s, body: b, o: o, cancel: cancel}
	k.name.Store(new(string))
	k.done.Go(func() { k.tell(ctx) })
	return k
}

func (k *known) next() (*file, error) {
	f, err := k.source.next()
	if err != nil {
		return nil, err
	}
	k.name.Store(&f.name)
	f.src = &counting{f.src, &k.bytes}
	f.progress = k.rows.Store
	return f, nil
}

// tell makes the stream known once it has lasted, and keeps that current until ctx ends.
func (k *known) tell(ctx context.Context) {
	select {
	case <-time.After(knownAfter):
	case <-ctx.Done():
		return
	}
	k.handle = k.s.states.Begin(uploads.Upload{
		ID: k.o.id, Kind: uploads.Stream, State: uploads.Processing, Files: []uploads.File{{Name: *k.name.Load()}},
		ReceivedAt: k.o.began, StartedAt: k.o.began, Attempts: 1, Rows: k.rows.Load(), Bytes: k.bytes.Load(),
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
			k.body.stop(refuse(statusClosedRequest, codeCancelled, "the stream was cancelled"))
		case <-ctx.Done():
			return
		}
	}
}

// end tells how the stream ended, if it was told of at all.
func (k *known) end() {
	k.cancel()
	k.done.Wait()
	if k.handle == nil {
		return
	}
	shown, rec := *k.o, *k.o.whole // what is kept is shortened, and what is answered is not
	shown.whole = &rec
	state, body, told := uploads.Done, any(shown.told()), failure{}
	if err := k.o.err(); err != nil {
		told = shown.refused(asRefusal(err))
		state, body = uploads.Failed, told
		if errors.Is(context.Cause(k.handle.Context()), uploads.ErrCancelled) && told.Code == codeCancelled {
			state = uploads.Cancelled
		}
	}
	k.handle.Change(func(u *uploads.Upload) {
		u.State, u.Error, u.Code = state, told.Error, told.Code
		u.Rows, u.Bytes = k.rows.Load(), k.bytes.Load()
		u.Files = []uploads.File{{Name: *k.name.Load(), Size: u.Bytes}}
		u.Receipt = keepsake(body, []*receipt{&rec})
	})
}
