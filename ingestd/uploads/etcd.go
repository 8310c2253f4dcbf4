package uploads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// stored is what is known of an upload's key in etcd.
type stored struct {
	state    State // the last that was written; guarded by Registry.mu
	revision int64 // of the key; 0: as far as is known there is none
	lease    clientv3.LeaseID
	renewed  time.Time // the lease
}

// put writes a state, under a compare: a wish to cancel that somebody else has written is heard, not
// overwritten.
func (r *Registry) put(ctx context.Context, h *Handle, u Upload) error {
	if r.client == nil {
		return nil
	}
	fresh := h.stored.revision == 0
	for {
		if err := r.lease(ctx, h); err != nil {
			return err
		}
		value, err := encode(u)
		if err != nil {
			return err
		}
		key := r.key(u.ID)
		answer, err := r.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", h.stored.revision)).
			Then(clientv3.OpPut(key, string(value), clientv3.WithLease(h.stored.lease))).
			Else(clientv3.OpGet(key)).Commit()
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			h.stored.lease = 0
		case err != nil:
			return fmt.Errorf("writing the state of upload %s: %w", u.ID, err)
		case answer.Succeeded:
			h.stored.revision = answer.Header.Revision
			if fresh {
				r.prune(ctx)
			}
			return r.renew(ctx, h, u)
		default:
			h.adopt(answer.Responses[0].GetResponseRange().Kvs)
			u.CancelRequested = h.Upload().CancelRequested
		}
	}
}

// adopt takes over what is in etcd under an upload's key: an earlier process wrote it, or somebody who wants
// the upload cancelled, or this process without learning that it had.
func (h *Handle) adopt(kvs []*mvccpb.KeyValue) {
	if len(kvs) == 0 {
		h.stored.revision = 0
		return
	}
	h.stored.revision, h.stored.lease = kvs[0].ModRevision, clientv3.LeaseID(kvs[0].Lease)
	if u, err := decode(string(kvs[0].Key), kvs[0].Value); err == nil && u.CancelRequested {
		h.wishCancelled()
	}
}

func (h *Handle) wishCancelled() {
	h.Change(func(u *Upload) { u.CancelRequested = true })
	h.cancel(ErrCancelled)
}

// lease makes the lease that takes the state away, unless there is one.
func (r *Registry) lease(ctx context.Context, h *Handle) error {
	if h.stored.lease != 0 {
		return nil
	}
	grant, err := r.client.Grant(ctx, int64(keptFor.Seconds()))
	if err != nil {
		return fmt.Errorf("making a lease for the state of an upload: %w", err)
	}
	h.stored.lease, h.stored.renewed = grant.ID, time.Now()
	return nil
}

// renew has the time of a lease start again: at the end of an upload, and before that as often as it takes.
func (r *Registry) renew(ctx context.Context, h *Handle, u Upload) error {
	if !u.State.Final() && time.Since(h.stored.renewed) < keptFor/4 {
		return nil
	}
	_, err := r.client.KeepAliveOnce(ctx, h.stored.lease)
	if err != nil {
		return fmt.Errorf("renewing the lease for the state of upload %s: %w", u.ID, err)
	}
	h.stored.renewed = time.Now()
	return nil
}

// hear finds out whether somebody wants an upload of this process cancelled, by what has changed in etcd since
// the last time, and keeps the leases of those that wait for long.
func (r *Registry) hear(ctx context.Context) {
	open := r.open()
	if r.client == nil || len(open) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	opts := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithKeysOnly()}
	if r.seen > 0 {
		opts = append(opts, clientv3.WithMinModRev(r.seen+1))
	}
	answer, err := r.client.Get(ctx, r.prefix, opts...)
	if err != nil {
		return // the next look sees it too
	}
	changed := map[string]int64{}
	for _, kv := range answer.Kvs {
		changed[string(kv.Key)] = kv.ModRevision
	}
	for id, h := range open {
		if revision, ok := changed[r.key(id)]; ok && revision != h.stored.revision {
			if err := r.reread(ctx, h, id); err != nil {
				return
			}
		}
		if h.stored.lease != 0 {
			if err := r.renew(ctx, h, Upload{ID: id}); err != nil {
				h.stored.lease = 0 // the next write makes another
			}
		}
	}
	r.seen = answer.Header.Revision
}

func (r *Registry) reread(ctx context.Context, h *Handle, id events.UploadID) error {
	answer, err := r.client.Get(ctx, r.key(id))
	if err == nil {
		h.adopt(answer.Kvs)
	}
	return err
}

// open are the uploads of this process that have not ended.
func (r *Registry) open() map[events.UploadID]*Handle {
	r.mu.Lock()
	defer r.mu.Unlock()
	open := map[events.UploadID]*Handle{}
	for id, h := range r.own {
		if !h.upload.State.Final() {
			open[id] = h
		}
	}
	return open
}

// prune removes the oldest of those that have ended when there are too many, and some more, so that it need
// not be done for every upload.
func (r *Registry) prune(ctx context.Context) {
	count, err := r.client.Get(ctx, r.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || count.Count <= int64(r.keep) {
		return
	}
	all, err := r.client.Get(ctx, r.prefix, clientv3.WithPrefix())
	if err != nil {
		return // the next new upload comes by here too
	}
	type ended struct {
		upload Upload
		kv     *mvccpb.KeyValue
	}
	var finished []ended
	for _, kv := range all.Kvs {
		if u, err := decode(string(kv.Key), kv.Value); err != nil || u.State.Final() {
			finished = append(finished, ended{u, kv})
		}
	}
	slices.SortFunc(finished, func(a, b ended) int { return order(&a.upload, &b.upload) })
	for _, e := range finished[:min(len(finished), len(all.Kvs)-r.keep+r.keep/10)] {
		if err := r.remove(ctx, e.kv); err != nil {
			r.lg.Debug("removing the state of an old upload; its lease will", "upload", e.upload.ID, "err", err)
			return
		}
	}
}

func (r *Registry) remove(ctx context.Context, kv *mvccpb.KeyValue) error {
	key := string(kv.Key)
	_, err := r.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)).
		Then(clientv3.OpDelete(key)).Commit()
	if err != nil || kv.Lease == 0 {
		return err
	}
	if _, err := r.client.Revoke(ctx, clientv3.LeaseID(kv.Lease)); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return err
	}
	return nil
}
