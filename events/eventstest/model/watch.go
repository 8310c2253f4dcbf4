package model

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
)

// maxRevisions bounds the revisions in one response to a watch that is behind, as in etcd.
const maxRevisions = 1000

// watcher is the watch part of an etcd client. As in etcd, watches whose contexts carry the same metadata share a stream.
type watcher struct {
	client *Client
	once   sync.Once
	closed chan struct{}
}

// watch is one watch. It does not queue changes but reads them from the store when it delivers them, so a delayed watch is
// behind, and may be overtaken by a compaction. The cluster's lock guards the fields from next on.
type watch struct {
	watcher *watcher
	stream  string
	op      clientv3.Op
	key     string
	end     string
	start   int64
	out     chan clientv3.WatchResponse
	wake    chan struct{} // holds a token when there may be a response to deliver

	next     int64 // earlier revisions were delivered
	behind   bool  // there are changes to deliver from next on
	synced   bool  // it has caught up since its start
	progress int64 // requested progress to report
	broken   string
}

func newWatcher(c *Client) *watcher { return &watcher{client: c, closed: make(chan struct{})} }

// NewWatcher returns another watcher of the client; see etcd.Watchers.
func (w *watcher) NewWatcher() clientv3.Watcher { return newWatcher(w.client) }

func (w *watcher) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

// Watch starts a watch. Like etcd's client it waits until the watch is created.
func (w *watcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	op := clientv3.OpGet(key, opts...)
	wt := &watch{
		watcher: w, stream: streamOf(ctx), op: op,
		key: string(op.KeyBytes()), end: string(op.RangeBytes()), start: op.Rev(),
		out: make(chan clientv3.WatchResponse, 1), wake: make(chan struct{}, 1),
	}
	if op.IsPrevKV() || op.IsSortSet() || op.Limit() != 0 {
		w.client.etcd.failUnknown("watches with previous values, orders or limits")
	}
	if !w.client.awaitLink(ctx, w.closed) || ctx.Err() != nil {
		close(wt.out)
		return wt.out
	}
	if wt.end != "" && wt.end != "\x00" && wt.end <= wt.key {
		wt.out <- clientv3.WatchResponse{Header: &pb.ResponseHeader{}, Canceled: true, CancelReason: "mvcc: watcher range is empty"}
		close(wt.out)
		return wt.out
	}
	created := w.client.etcd.registerWatch(wt)
	go wt.serveWatch(ctx, created)
	return wt.out
}

// streamOf returns the name of the stream that a context selects.
func streamOf(ctx context.Context) string {
	md, _ := metadata.FromOutgoingContext(ctx)
	return fmt.Sprint(map[string][]string(md))
}

// RequestProgress sends the store's revision to every watch of a stream, if all of them have caught up and none starts in the
// future; otherwise it sends nothing.
func (w *watcher) RequestProgress(ctx context.Context) error {
	for s, changed := w.client.currentState(); s == frozen; s, changed = w.client.currentState() {
		<-changed
	}
	select {
	case <-w.closed:
		return errors.New("no stream found for context")
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	if s, _ := w.client.currentState(); s == connected {
		w.client.etcd.askProgress(w, streamOf(ctx))
	}
	return nil
}

func (e *Etcd) askProgress(w *watcher, stream string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*watch
	for _, wt := range e.watches {
		if wt.watcher != w || wt.stream != stream {
			continue
		}
		if !wt.synced || e.store.rev < wt.start {
			return
		}
		all = append(all, wt)
	}
	if e.down {
		return
	}
	for _, wt := range all {
		wt.progress = e.store.rev
		wt.signal()
	}
}

// registerWatch adds a watch to the cluster and returns the created response.
func (e *Etcd) registerWatch(w *watch) clientv3.WatchResponse {
	e.mu.Lock()
	defer e.mu.Unlock()
	w.next, w.synced = w.start, w.start == 0 || w.start > e.store.rev
	if w.start == 0 {
		w.next = e.store.rev + 1
	}
	if !w.synced {
		w.behind = true
		w.signal()
	}
	e.watches = append(e.watches, w)
	return clientv3.WatchResponse{Header: e.responseHeader(), Created: true}
}

func (e *Etcd) unregisterWatch(w *watch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watches = slices.DeleteFunc(e.watches, func(x *watch) bool { return x == w })
}

// BreakWatches ends the watches of a client with an error, as when the stream's member loses its leader.
func (e *Etcd) BreakWatches(c *Client) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.watches {
		if w.watcher.client == c {
			w.broken = rpctypes.ErrorDesc(rpctypes.ErrGRPCNoLeader)
			w.signal()
		}
	}
}

// CompactWatches ends the watches of a client as if each were behind a compaction: it compacts all history, and the watches lose
// the changes not yet delivered.
func (e *Etcd) CompactWatches(c *Client) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.store.compact(e.store.rev)
	for _, w := range e.watches {
		if w.watcher.client == c && w.start <= e.store.rev {
			w.behind, w.next = true, min(w.next, e.store.rev-1)
			w.signal()
		}
	}
}

// signal wakes a watch to look for responses to deliver. It needs the lock.
func (w *watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// noteCommit updates the watch for a committed transaction. It needs the lock.
func (w *watch) noteCommit(rev int64, changes []*mvccpb.Event) {
	switch {
	case rev >= w.next && slices.ContainsFunc(changes, w.matchesEvent):
		w.behind = true
		w.signal()
	case !w.behind:
		w.next = max(w.next, rev+1)
	}
}

// matchesEvent reports whether a change is in the watch's range and not filtered out.
func (w *watch) matchesEvent(ev *mvccpb.Event) bool {
	if ev.Type == mvccpb.Event_PUT && w.op.IsFilterPut() || ev.Type == mvccpb.Event_DELETE && w.op.IsFilterDelete() {
		return false
	}
	return inRange(string(ev.Kv.Key), w.key, w.end)
}
