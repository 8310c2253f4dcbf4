package partition

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// view is who is there and who owns what of a generation. A view that was sent is never changed.
type view struct {
	members map[string]clientv3.LeaseID // those of the same model version: others cannot work on the generation
	owners  map[events.Partition]ownerKey
	rev     int64 // every change of an owner key up to this revision is in owners
}

type ownerKey struct {
	member string
	lease  clientv3.LeaseID
	token  int64 // create revision
}

func (v view) clone() view {
	v.members, v.owners = maps.Clone(v.members), maps.Clone(v.owners)
	return v
}

// viewer keeps a view current: it lists, then watches from there, and lists again when the watch ends, at
// the latest after resync (so a watch that went silent cannot mislead for longer).
type viewer struct {
	client  *clientv3.Client
	keys    keys
	version string // of the models
	resync  time.Duration
	lg      *slog.Logger
}

const listTimeout = 5 * time.Second

// run sends a view whenever it changed, until ctx ends.
func (vr viewer) run(ctx context.Context, views chan<- view) {
	pause := newBackoff()
	for ctx.Err() == nil {
		if err := vr.follow(ctx, views); err != nil && ctx.Err() == nil {
			vr.lg.Warn("watching members and owners; trying again", "err", err)
			pause.wait(ctx)
			continue
		}
		pause.reset()
	}
}

// follow lists, then watches for resync.
func (vr viewer) follow(ctx context.Context, views chan<- view) error {
	v, err := vr.list(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), vr.resync)
	defer cancel()
	after := clientv3.WithRev(v.rev + 1)
	members := vr.client.Watch(ctx, vr.keys.members, clientv3.WithPrefix(), after)
	owners := vr.client.Watch(ctx, vr.keys.owners, clientv3.WithPrefix(), after)
	for {
		select {
		case views <- v.clone():
		case <-ctx.Done():
			return nil
		}
		var resp clientv3.WatchResponse
		var open bool
		apply := vr.applyOwner
		select {
		case resp, open = <-owners:
		case resp, open = <-members:
			apply = vr.applyMember
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case !open:
			return fmt.Errorf("watch closed by etcd client")
		case resp.Err() != nil:
			return resp.Err()
		}
		for _, ev := range resp.Events {
			apply(&v, ev)
		}
	}
}

// list reads both prefixes at one revision.
func (vr viewer) list(ctx context.Context) (view, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	resp, err := vr.client.Txn(ctx).Then(
		clientv3.OpGet(vr.keys.members, clientv3.WithPrefix()),
		clientv3.OpGet(vr.keys.owners, clientv3.WithPrefix()),
	).Commit()
	if err != nil {
		return view{}, fmt.Errorf("listing members and owners: %w", err)
	}
	v := view{
		members: make(map[string]clientv3.LeaseID),
		owners:  make(map[events.Partition]ownerKey),
		rev:     resp.Header.Revision,
	}
	for _, kv := range resp.Responses[0].GetResponseRange().Kvs {
		vr.putMember(&v, kv)
	}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		vr.putOwner(&v, kv)
	}
	return v, nil
}

func (vr viewer) applyMember(v *view, ev *clientv3.Event) {
	if ev.Type == clientv3.EventTypePut {
		vr.putMember(v, ev.Kv)
		return
	}
	if id, err := vr.keys.parseMember(string(ev.Kv.Key)); err == nil {
		delete(v.members, id)
	}
}

func (vr viewer) applyOwner(v *view, ev *clientv3.Event) {
	v.rev = max(v.rev, ev.Kv.ModRevision)
	if ev.Type == clientv3.EventTypePut {
		vr.putOwner(v, ev.Kv)
		return
	}
	if p, err := vr.keys.parseOwner(string(ev.Kv.Key)); err == nil {
		delete(v.owners, p)
	}
}

func (vr viewer) putMember(v *view, kv *mvccpb.KeyValue) {
	id, err := vr.keys.parseMember(string(kv.Key))
	if err != nil {
		vr.lg.Warn("ignoring a key among the members", "err", err)
		return
	}
	var told memberValue
	if err := json.Unmarshal(kv.Value, &told); err != nil {
		vr.lg.Warn("ignoring a member that tells no model version", "member", id, "err", err)
		return
	}
	if told.ModelVersion == vr.version {
		v.members[id] = clientv3.LeaseID(kv.Lease)
	}
}

func (vr viewer) putOwner(v *view, kv *mvccpb.KeyValue) {
	p, err := vr.keys.parseOwner(string(kv.Key))
	if err != nil {
		vr.lg.Warn("ignoring a key among the owners", "err", err)
		return
	}
	v.owners[p] = ownerKey{member: string(kv.Value), lease: clientv3.LeaseID(kv.Lease), token: kv.CreateRevision}
}
