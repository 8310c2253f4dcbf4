package uploads

import (
	"context"
	"errors"
	"time"
)

// Handle is an upload of this process. Its methods are safe for use by several goroutines.
type Handle struct {
	r      *Registry
	ctx    context.Context
	cancel context.CancelCauseFunc

	stored stored // Run's, but for its state

	// guarded by r.mu
	upload  Upload
	version int           // of upload
	written int           // the version that was written last
	wrote   chan struct{} // closed and replaced when written moves
}

// ErrCancelled is why the context of a Handle ends: somebody wants the upload cancelled.
var ErrCancelled = errors.New("the upload was cancelled")

// Context ends with ErrCancelled when the upload is to be cancelled, and when it has ended.
func (h *Handle) Context() context.Context { return h.ctx }

// Upload is the state as this process knows it.
func (h *Handle) Upload() Upload {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	return h.upload
}

// Change changes the state, and returns at once: another value of State is written as soon as can be, other
// things within a second. An upload that has ended changes no more.
func (h *Handle) Change(change func(*Upload)) {
	if h.change(change) {
		h.r.kick.Set()
	}
}

func (h *Handle) change(change func(*Upload)) (urgent bool) {
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

// Stored waits until the state is in etcd as it is now, or a newer one.
func (h *Handle) Stored(ctx context.Context) error {
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

func (h *Handle) snapshot() (Upload, int) {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	return h.upload, h.version
}
