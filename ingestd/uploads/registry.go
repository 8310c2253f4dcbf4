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
	keep         = 1000           // states in etcd, unless more have not ended
	keptFor      = 24 * time.Hour // after the end
	writeEvery   = time.Second    // progress, and looks for wishes to cancel
	writeTimeout = 5 * time.Second
	partingTime  = 2 * time.Second // for the last states, when the process stops
)

// Registry knows the uploads of this process, and asks etcd for those of all others. Run writes; everything
// else is safe to call at any time, also before Run and after it.
type Registry struct {
	client *clientv3.Client // nil: states stay in memory
	prefix string
	server string
	keep   int
	lg     *slog.Logger
	kick   wait.Signal // set when something is to be written at once

	seen int64 // Run's: the revision up to which changes in etcd were looked at

	mu  sync.Mutex
	own map[events.UploadID]*Handle
}

// New makes a registry on etcd; with a nil client it knows only the uploads of this process. It starts nothing.
func New(client *clientv3.Client, store eventlog.Config, lg *slog.Logger) *Registry {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	server, err := os.Hostname()
	if err != nil {
		server = "unknown"
	}
	return &Registry{
		client: client, prefix: store.Prefix("uploads"), server: server, keep: keep, lg: lg,
		kick: wait.NewSignal(), own: map[events.UploadID]*Handle{},
	}
}

// Log names the log whose uploads these are, by its root and cluster id; "memory" where there is no etcd.
func (r *Registry) Log() string {
	if r.client == nil {
		return "memory"
	}
	return r.prefix
}

func (r *Registry) key(id events.UploadID) string { return r.prefix + events.Escape(string(id)) }

// Begin makes an upload known. One of an earlier process with the same id, whatever its state, is gone on with.
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

// mine gives the handle of an upload of this process; nil for any other.
func (r *Registry) mine(id events.UploadID) *Handle {
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
			parting, cancel := context.WithTimeout(context.WithoutCancel(ctx), partingTime)
			defer cancel()
			r.write(parting, true)
			return nil
		case <-tick.C:
			look = true
		case <-r.kick.C():
		}
		r.write(ctx, look)
		if look {
			r.hear(ctx)
		}
	}
}

// write brings to etcd what it does not have yet: changes of State, and with all also the rest.
func (r *Registry) write(ctx context.Context, all bool) {
	for _, h := range r.unwritten(all) {
		u, version := h.snapshot()
		within, cancel := context.WithTimeout(ctx, writeTimeout)
		err := r.put(within, h, u)
		cancel()
		if err != nil {
			// Every upload would fail alike. They are known here, and written when etcd answers again.
			r.lg.Debug("writing the state of an upload; trying again", "upload", u.ID, "err", err)
			break
		}
		r.settle(h, u, version)
	}
	r.forget()
}

func (r *Registry) unwritten(all bool) (handles []*Handle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.own {
		if h.written < h.version && (all || h.stored.state != h.upload.State) {
			handles = append(handles, h)
		}
	}
	return handles
}

// settle notes that a version was written. What has ended and is in etcd need not be known here.
func (r *Registry) settle(h *Handle, u Upload, version int) {
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

// forget bounds what is known here, where etcd does not take it over.
func (r *Registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.own) > r.keep {
		var oldest *Handle
		for _, h := range r.own {
			if h.upload.State.Final() && (oldest == nil || order(&h.upload, &oldest.upload) < 0) {
				oldest = h
			}
		}
		if oldest == nil {
			return
		}
		delete(r.own, oldest.upload.ID)
	}
}

// order is that in which uploads were received.
func order(a, b *Upload) int {
	return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.ID, b.ID))
}
