package partition

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// view is the members and owners of a generation. A view that was sent is never changed.
type view struct {
	members map[string]clientv3.LeaseID // of the same model version: others cannot work on the generation
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

// viewer keeps a view current: it lists, then watches from there, and lists again when the watch ends, at the latest
// after resync, which bounds the effect of an event that the watch missed.
type viewer struct {
	client  *clientv3.Client
	keys    keys
	version string // of the models
	resync  time.Duration
	silence etcd.Silence
	lg      *slog.Logger
}

const listTimeout = 5 * time.Second

// sendViews sends a view after every change, until ctx ends.
func (vr viewer) sendViews(ctx context.Context, views chan<- view) {
	pause := newBackoff()
	for ctx.Err() == nil {
		if err := vr.listAndWatch(ctx, views); err != nil && ctx.Err() == nil {
			vr.lg.Warn("watching members and owners; trying again", "err", err)
			pause.Wait(ctx)
			continue
		}
		pause.Reset()
	}
}

// The two ranges of a viewer.
const (
	memberRange = iota
	ownerRange
)

// listAndWatch lists, then watches for resync.
func (vr viewer) listAndWatch(ctx context.Context, views chan<- view) error {
	v, err := vr.listKeys(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, vr.resync)
	defer cancel()
	send := func() error {
		select {
		case views <- v.clone():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	watch := etcd.Watch{
		NewWatcher: etcd.Watchers(vr.client), Subject: "members and owners", After: v.rev, Silence: vr.silence,
		Ranges: []etcd.Range{memberRange: etcd.Prefix(vr.keys.members), ownerRange: etcd.Prefix(vr.keys.owners)},
	}
	if err = send(); err == nil {
		err = watch.Run(ctx, func(r etcd.Response) error {
			if len(r.Events) == 0 {
				return nil
			}
			vr.applyEvents(&v, r)
			return send()
		})
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (vr viewer) applyEvents(v *view, r etcd.Response) {
	apply := vr.applyMember
	if r.Range == ownerRange {
		apply = vr.applyOwner
	}
	for _, ev := range r.Events {
		apply(v, ev)
	}
}

// listKeys reads both prefixes at one revision.
func (vr viewer) listKeys(ctx context.Context) (view, error) {
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
	var member memberValue
	if err := events.DecodeStoredJSON(kv.Value, &member); err != nil {
		vr.lg.Warn("ignoring a member with an unreadable value", "member", id, "err", err)
		return
	}
	if member.ModelVersion == vr.version {
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
