package model

import (
	"context"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// serveWatch delivers responses until the watch ends.
func (w *watch) serveWatch(ctx context.Context, created clientv3.WatchResponse) {
	e, c := w.watcher.client.etcd, w.watcher.client
	defer close(w.out)
	defer e.unregisterWatch(w)
	if w.op.IsCreatedNotify() && !w.sendResponse(ctx, created) {
		return
	}
	quiet := time.NewTicker(e.opt.Progress)
	defer quiet.Stop()
	for {
		select {
		case <-w.wake:
		case <-quiet.C:
			e.markProgress(w)
		case <-ctx.Done():
			return
		case <-w.watcher.closed:
			return
		}
		c.mu.Lock()
		lag := c.lag
		c.mu.Unlock()
		if c.awaitDelay(ctx, lag) != nil || !w.sendPending(ctx) {
			return
		}
	}
}

// sendPending delivers all pending responses. It reports false when the watch has ended.
func (w *watch) sendPending(ctx context.Context) bool {
	c := w.watcher.client
	for {
		if !c.awaitLink(ctx, w.watcher.closed) {
			return false
		}
		c.mu.Lock()
		merge := c.merge
		c.mu.Unlock()
		resp, some := c.etcd.nextResponse(w, merge)
		if !some {
			return true
		}
		if !w.sendResponse(ctx, resp) || resp.Canceled {
			return false
		}
		if c.takeRepeat() && !w.sendResponse(ctx, resp) {
			return false
		}
	}
}

// takeRepeat reports whether to deliver the response again, and counts it.
func (c *Client) takeRepeat() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.repeat == 0 {
		return false
	}
	c.repeat--
	return true
}

func (w *watch) sendResponse(ctx context.Context, resp clientv3.WatchResponse) bool {
	select {
	case w.out <- resp:
		return true
	case <-ctx.Done():
		return false
	case <-w.watcher.closed:
		return false
	}
}

// markProgress schedules a progress notification for an idle watch that requested them.
func (e *Etcd) markProgress(w *watch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.op.IsProgressNotify() && w.synced && w.start <= e.store.rev && !w.behind {
		w.progress = e.store.rev
	}
}

// nextResponse returns the next response of a watch, if any: the changes of one revision, or of many (merge, or catching up),
// then progress.
func (e *Etcd) nextResponse(w *watch, merge bool) (resp clientv3.WatchResponse, some bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	header := e.responseHeader()
	switch {
	case w.broken != "":
		return clientv3.WatchResponse{Header: header, Canceled: true, CancelReason: w.broken}, true
	case w.behind && w.next < e.store.compacted:
		header.Revision = 0
		return clientv3.WatchResponse{Header: header, Canceled: true, CompactRevision: e.store.compacted}, true
	}
	if evs := e.dueEvents(w, merge || !w.synced); len(evs) > 0 {
		if !merge && w.synced {
			header.Revision = evs[0].Kv.ModRevision
		}
		return clientv3.WatchResponse{Header: header, Events: evs}, true
	}
	if tell := w.progress; tell > 0 {
		w.progress = 0
		header.Revision = tell
		return clientv3.WatchResponse{Header: header}, true
	}
	return resp, false
}

// dueEvents returns the changes to deliver next, none past a requested progress, and advances the watch past them. It needs the
// lock.
func (e *Etcd) dueEvents(w *watch, many bool) (evs []*mvccpb.Event) {
	if !w.behind || w.progress > 0 && w.next > w.progress {
		return nil
	}
	limit := e.store.rev
	if w.progress > 0 {
		limit = min(limit, w.progress)
	}
	revisions := 0
	for _, ev := range e.store.log[e.store.logFrom(w.next):] {
		rev := ev.Kv.ModRevision
		if rev > limit {
			break
		}
		if !w.matchesEvent(ev) {
			continue
		}
		if rev >= w.next {
			if revisions++; revisions > 1 && !many || revisions > maxRevisions {
				return evs // the rest follows in the next response
			}
			w.next = rev + 1
		}
		evs = append(evs, cloneEvent(ev))
	}
	w.next = max(w.next, limit+1)
	if limit == e.store.rev {
		w.behind, w.synced = false, true
	}
	return evs
}

// cloneEvent returns a copy of an event that its receiver may change.
func cloneEvent(ev *mvccpb.Event) *mvccpb.Event {
	kv := ev.Kv
	return &mvccpb.Event{Type: ev.Type, Kv: &mvccpb.KeyValue{
		Key: slices.Clone(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease}}
}
