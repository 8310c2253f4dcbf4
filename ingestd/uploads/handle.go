package uploads

import (
	"context"
	"errors"
	"time"
)

// Handle is an upload of this process. It is safe for concurrent use.
type Handle struct {
	r      *Registry
	ctx    context.Context
	cancel context.CancelCauseFunc

	stored keyState // owned by Registry.Run, except for its state

	// guarded by r.mu
	upload  Upload
	version int           // of upload
	written int           // the last version in etcd
	wrote   chan struct{} // closed and replaced when written changes
}

// ErrCancelled is the cause of a Handle's ended context after a cancel request.
var ErrCancelled = errors.New("the upload was cancelled")

// Context returns a context that ends with ErrCancelled on a cancel request, and also ends with the upload.
func (h *Handle) Context() context.Context { return h.ctx }

// Upload returns the state as this process knows it.
func (h *Handle) Upload() Upload {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	return h.upload
}

// Change changes the state and returns at once: a new State is written as soon as possible, other changes within a
// second. An upload that has ended does not change.
func (h *Handle) Change(change func(*Upload)) {
	if h.applyChange(change) {
		h.r.kick.Set()
	}
}

func (h *Handle) applyChange(change func(*Upload)) (urgent bool) {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	was := h.upload.State
	if was.Final() {
		return false
	}
	change(&h.upload)
	h.upload.UpdatedAt = time.Now().UTC()
	if h.upload.State.Final() {
		h.upload.EndedAt = h.upload.UpdatedAt
		h.cancel(nil)
	}
	h.version++
	return h.upload.State != was
}

// WaitStored waits until the current state, or a later one, is in etcd.
func (h *Handle) WaitStored(ctx context.Context) error {
	h.r.mu.Lock()
	want := h.version
	h.r.mu.Unlock()
	h.r.kick.Set()
	for {
		h.r.mu.Lock()
		done, wrote := h.written >= want, h.wrote
		h.r.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-wrote:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (h *Handle) stateAndVersion() (Upload, int) {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	return h.upload, h.version
}
