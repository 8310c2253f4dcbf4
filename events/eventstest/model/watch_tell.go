package model

import (
	"context"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// serve tells what there is until the watch ends.
func (w *watch) serve(ctx context.Context, created clientv3.WatchResponse) {
	e, c := w.watcher.client.etcd, w.watcher.client
	defer close(w.out)
	defer e.unregister(w)
	if w.op.IsCreatedNotify() && !w.give(ctx, created) {
		return
	}
	quiet := time.NewTicker(e.opt.Progress)
	defer quiet.Stop()
	for {
		select {
		case <-w.wake:
		case <-quiet.C:
			e.remind(w)
		case <-ctx.Done():
			return
		case <-w.watcher.closed:
			return
		}
		c.mu.Lock()
		lag := c.lag
		c.mu.Unlock()
		if c.travel(ctx, lag) != nil || !w.tellAll(ctx) {
			return
		}
	}
}

// tellAll tells everything that there is; false when the watch has ended.
func (w *watch) tellAll(ctx context.Context) bool {
	c := w.watcher.client
	for {
		if !c.reach(ctx, w.watcher.closed) {
			return false
		}
		c.mu.Lock()
		merge := c.merge
		c.mu.Unlock()
		resp, some := c.etcd.collect(w, merge)
		if !some {
			return true
		}
		if !w.give(ctx, resp) || resp.Canceled {
			return false
		}
		if c.repeats() && !w.give(ctx, resp) {
			return false
		}
	}
}

// repeats tells whether the answer is to be given again.
func (c *Client) repeats() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.repeat == 0 {
		return false
	}
	c.repeat--
	return true
}

func (w *watch) give(ctx context.Context, resp clientv3.WatchResponse) bool {
	select {
	case w.out <- resp:
		return true
	case <-ctx.Done():
		return false
	case <-w.watcher.closed:
		return false
	}
}

// remind has a watch that asked for it told its progress.
func (e *Etcd) remind(w *watch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.op.IsProgressNotify() && w.synced && w.start <= e.store.rev && !w.behind {
		w.tell = e.store.rev
	}
}

// collect gives what a watch is to be told next: the changes of one revision, or of many (merge, or catching up), then progress.
func (e *Etcd) collect(w *watch, merge bool) (resp clientv3.WatchResponse, some bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	header := e.header()
	switch {
	case w.broken != "":
		return clientv3.WatchResponse{Header: header, Canceled: true, CancelReason: w.broken}, true
	case w.behind && w.next < e.store.compacted:
		header.Revision = 0
		return clientv3.WatchResponse{Header: header, Canceled: true, CompactRevision: e.store.compacted}, true
	}
	if evs := e.due(w, merge || !w.synced); len(evs) > 0 {
		if !merge && w.synced {
			header.Revision = evs[0].Kv.ModRevision
		}
		return clientv3.WatchResponse{Header: header, Events: evs}, true
	}
	if tell := w.tell; tell > 0 {
		w.tell = 0
		header.Revision = tell
		return clientv3.WatchResponse{Header: header}, true
	}
	return resp, false
}

// due takes the changes to tell next, none past the progress that was asked for. It needs the lock.
func (e *Etcd) due(w *watch, many bool) (evs []*mvccpb.Event) {
	if !w.behind || w.tell > 0 && w.next > w.tell {
		return nil
	}
	limit := e.store.rev
	if w.tell > 0 {
		limit = min(limit, w.tell)
	}
	revisions := 0
	for _, ev := range e.store.log[e.store.logFrom(w.next):] {
		rev := ev.Kv.ModRevision
		if rev > limit {
			break
		}
		if !w.matches(ev) {
			continue
		}
		if rev >= w.next {
			if revisions++; revisions > 1 && !many || revisions > maxRevisions {
				return evs // there is more
			}
			w.next = rev + 1
		}
		evs = append(evs, clone(ev))
	}
	w.next = max(w.next, limit+1)
	if limit == e.store.rev {
		w.behind, w.synced = false, true
	}
	return evs
}

// clone makes an event that its receiver may change.
func clone(ev *mvccpb.Event) *mvccpb.Event {
	kv := ev.Kv
	return &mvccpb.Event{Type: ev.Type, Kv: &mvccpb.KeyValue{
		Key: slices.Clone(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease}}
}
