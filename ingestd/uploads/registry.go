package uploads

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
)

const (
	maxStates         = 1000           // states in etcd, unless more have not ended
	retainFor         = 24 * time.Hour // after the end
	writeEvery        = time.Second    // interval of writes of progress, and of polls for cancel requests
	writeTimeout      = 5 * time.Second
	finalWriteTimeout = 2 * time.Second // for the last states when the process stops
)

// Registry holds the uploads of this process, and reads all others from etcd. Run writes the states; every other
// method is safe to call at any time, including before and after Run.
type Registry struct {
	client    *clientv3.Client // nil: states stay in memory
	prefix    string
	server    string
	maxStates int
	lg        *slog.Logger
	kick      wait.Signal // set when a state must be written at once

	seen int64 // owned by Run: the revision up to which changes in etcd were read

	mu  sync.Mutex
	own map[events.UploadID]*Handle
}

// New returns a registry on etcd; with a nil client it knows only this process's uploads. It starts nothing.
func New(client *clientv3.Client, store eventlog.Config, lg *slog.Logger) *Registry {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	server, err := os.Hostname()
	if err != nil {
		server = "unknown"
	}
	return &Registry{
		client: client, prefix: store.Prefix("uploads"), server: server, maxStates: maxStates, lg: lg,
		kick: wait.NewSignal(), own: map[events.UploadID]*Handle{},
	}
}

// Log identifies the log of these uploads by its root and cluster id; "memory" without etcd.
func (r *Registry) Log() string {
	if r.client == nil {
		return "memory"
	}
	return r.prefix
}

func (r *Registry) uploadKey(id events.UploadID) string { return r.prefix + events.Escape(string(id)) }

// Begin registers an upload. It continues an upload of an earlier process with the same id, in any state.
func (r *Registry) Begin(u Upload) *Handle {
	h := &Handle{r: r, upload: u, version: 1, wrote: make(chan struct{})}
	h.upload.Server = r.server
	h.upload.UpdatedAt = time.Now().UTC()
	h.ctx, h.cancel = context.WithCancelCause(context.Background())
	r.mu.Lock()
	r.own[u.ID] = h
	r.mu.Unlock()
	r.kick.Set()
	return h
}

// ownHandle returns the handle of an upload of this process; nil for any other.
func (r *Registry) ownHandle(id events.UploadID) *Handle {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.own[id]
}

// Run writes states until ctx ends, then the last ones.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		look := false
		select {
		case <-ctx.Done():
			parting, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalWriteTimeout)
			defer cancel()
			r.writeStates(parting, true)
			return nil
		case <-tick.C:
			look = true
		case <-r.kick.C():
		}
		r.writeStates(ctx, look)
		if look {
			r.pollCancels(ctx)
		}
	}
}

// writeStates writes changes of State that are not in etcd yet, and with all also changes of progress.
func (r *Registry) writeStates(ctx context.Context, all bool) {
	for _, h := range r.unwrittenHandles(all) {
		u, version := h.stateAndVersion()
		within, cancel := context.WithTimeout(ctx, writeTimeout)
		err := r.putState(within, h, u)
		cancel()
		if err != nil {
			// The others would fail for the same reason. Their states stay in memory and are written when etcd
			// answers again.
			r.lg.Debug("cannot write the state of an upload; retrying", "upload", u.ID, "err", err)
			break
		}
		r.markWritten(h, u, version)
	}
	r.evictEnded()
}

func (r *Registry) unwrittenHandles(all bool) (handles []*Handle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.own {
		if h.written < h.version && (all || h.stored.state != h.upload.State) {
			handles = append(handles, h)
		}
	}
	return handles
}

// markWritten records that a version was written. An ended upload whose state is in etcd is dropped from memory.
func (r *Registry) markWritten(h *Handle, u Upload, version int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.stored.state = u.State
	h.written = version
	close(h.wrote)
	h.wrote = make(chan struct{})
	if u.State.Final() && r.client != nil && r.own[u.ID] == h {
		delete(r.own, u.ID)
	}
}

// evictEnded bounds the number of states in memory when they cannot be written to etcd.
func (r *Registry) evictEnded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.own) > r.maxStates {
		var oldest *Handle
		for _, h := range r.own {
			if h.upload.State.Final() && (oldest == nil || compareReceived(&h.upload, &oldest.upload) < 0) {
				oldest = h
			}
		}
		if oldest == nil {
			return
		}
		delete(r.own, oldest.upload.ID)
	}
}

// compareReceived orders uploads by the time at which they were received.
func compareReceived(a, b *Upload) int {
	return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.ID, b.ID))
}
