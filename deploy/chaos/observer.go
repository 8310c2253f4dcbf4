package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// seenAt is when and at which revision something was seen to happen.
type seenAt struct {
	rev int64
	at  time.Time
}

// ownerChange is a claim (token set) or its end.
type ownerChange struct {
	seenAt
	partition events.Partition
	token     int64
	member    string
}

// written is a write of a projection or of an offset.
type written struct {
	seenAt
	partition    events.Partition
	kind         keyKind
	live, series int64 // of an offset
}

// appended is an event that was put into the log.
type appended struct {
	seenAt
	partition events.Partition
	key       string
	again     bool // overwritten
}

// observed is everything that was seen in etcd, in order of revision.
type observed struct {
	owners  []ownerChange
	writes  []written
	log     []appended
	deleted []string // events that were deleted
	members map[string]bool
	view    reference
	newest  newestStored
	back    []string // live readings that became older
	rev     int64    // everything up to here was seen
	broken  error    // why the rest was not seen
}

// observer watches every key of the pipeline by a client of its own that no fault touches.
type observer struct {
	client *clientv3.Client
	model  modelReader

	mu   sync.Mutex
	seen observed
}

func newObserver(client *clientv3.Client) (*observer, error) {
	model, err := newModelReader()
	return &observer{client: client, model: model, seen: observed{members: map[string]bool{}, view: reference{}, newest: newestStored{}}}, err
}

// watchKeys watches until ctx ends. A watch that breaks is resumed behind the last change that was seen; only a compaction of changes that were not
// seen could make a gap, and nothing but the schedule compacts.
func (o *observer) watchKeys(ctx context.Context) {
	for ctx.Err() == nil {
		from := o.currentPosition() + 1
		watch := o.client.Watch(clientv3.WithRequireLeader(ctx), root, clientv3.WithPrefix(), clientv3.WithRev(from),
			clientv3.WithProgressNotify(), clientv3.WithFragment())
		for resp := range watch {
			if resp.CompactRevision >= from {
				o.stopAt(fmt.Errorf("etcd was compacted up to %d before revision %d was seen", resp.CompactRevision, from))
				return
			}
			if resp.Err() != nil {
				break
			}
			if err := o.addResponse(resp); err != nil {
				o.stopAt(err)
				return
			}
		}
		wait.Sleep(ctx, 50*time.Millisecond) // the loop looks at ctx
	}
}

func (o *observer) currentPosition() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen.rev
}

func (o *observer) stopAt(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen.broken = err
}

func (o *observer) addResponse(resp clientv3.WatchResponse) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	for _, ev := range resp.Events {
		if err := o.addChange(ev, now); err != nil {
			return err
		}
	}
	if n := len(resp.Events); n > 0 {
		o.seen.rev = resp.Events[n-1].Kv.ModRevision // the header may be ahead of its changes
	} else if resp.IsProgressNotify() {
		o.seen.rev = max(o.seen.rev, resp.Header.GetRevision())
	}
	return nil
}

// addChange files one change away; a value that cannot be read ends the observation.
func (o *observer) addChange(ev *clientv3.Event, now time.Time) error {
	kv, at := ev.Kv, seenAt{ev.Kv.ModRevision, now}
	kind, p, last := parseKey(string(kv.Key))
	gone := ev.Type == clientv3.EventTypeDelete
	switch {
	case kind == ownerKey && gone:
		o.seen.owners = append(o.seen.owners, ownerChange{seenAt: at, partition: p})
	case kind == ownerKey:
		o.seen.owners = append(o.seen.owners, ownerChange{at, p, kv.CreateRevision, string(kv.Value)})
	case kind == memberKey && gone:
		delete(o.seen.members, last)
	case kind == memberKey:
		o.seen.members[last] = true
	case kind == queueKey && gone:
		o.seen.deleted = append(o.seen.deleted, string(kv.Key))
	case kind == queueKey:
		o.seen.log = append(o.seen.log, appended{at, p, string(kv.Key), kv.CreateRevision != kv.ModRevision})
	case kind.projects() && !gone:
		w := written{seenAt: at, partition: p, kind: kind}
		if err := o.readKeys(kv, &w); err != nil {
			return err
		}
		o.seen.writes = append(o.seen.writes, w)
	}
	return nil
}

// readKeys looks into offsets and live models.
func (o *observer) readKeys(kv *mvccpb.KeyValue, w *written) error {
	switch w.kind {
	case offsetKey:
		var v struct{ Live, Series int64 }
		if err := json.Unmarshal(kv.Value, &v); err != nil {
			return fmt.Errorf("reading %s: %w", kv.Key, err)
		}
		w.live, w.series = v.Live, v.Series
	case liveKey:
		live, err := o.model.live(kv.Value)
		if err != nil {
			return fmt.Errorf("reading %s: %w", kv.Key, err)
		}
		o.seen.view.addReading(w.rev, &live)
		o.seen.back = append(o.seen.back, o.seen.newest.addStored(w.rev, &live)...)
	}
	return nil
}

// copyState returns the changes seen up to now. The result does not change any more, but for view, which only grows.
func (o *observer) copyState() observed {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.seen
	s.members = map[string]bool{}
	for m := range o.seen.members {
		s.members[m] = true
	}
	return s
}

// awaitPosition waits until everything up to rev was seen.
func (o *observer) awaitPosition(ctx context.Context, rev int64) error {
	for o.currentPosition() < rev {
		if broken := o.copyState().broken; broken != nil {
			return broken
		}
		if !wait.Sleep(ctx, 20*time.Millisecond) {
			return errors.Join(fmt.Errorf("revision %d of %d was seen", o.currentPosition(), rev), ctx.Err())
		}
	}
	return nil
}
