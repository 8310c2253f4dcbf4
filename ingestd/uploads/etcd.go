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

// keyState is the last known state of an upload's key in etcd.
type keyState struct {
	state    State // last written; guarded by Registry.mu
	revision int64 // of the key; 0: no key is known
	lease    clientv3.LeaseID
	renewed  time.Time // when the lease was last renewed
}

// putState writes a state in a transaction that compares the key's revision, so a cancel request written by another
// process is adopted, not overwritten.
func (r *Registry) putState(ctx context.Context, h *Handle, u Upload) error {
	if r.client == nil {
		return nil
	}
	fresh := h.stored.revision == 0
	for {
		if err := r.ensureLease(ctx, h); err != nil {
			return err
		}
		value, err := encodeUpload(u)
		if err != nil {
			return err
		}
		key := r.uploadKey(u.ID)
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
				r.pruneEnded(ctx)
			}
			return r.renewLease(ctx, h, u)
		default:
			h.adoptStored(answer.Responses[0].GetResponseRange().Kvs)
			u.CancelRequested = h.Upload().CancelRequested
		}
	}
}

// adoptStored takes over the value of an upload's key in etcd. It was written by an earlier process, by a process
// that requests the cancel, or by this process in a transaction whose response was lost.
func (h *Handle) adoptStored(kvs []*mvccpb.KeyValue) {
	if len(kvs) == 0 {
		h.stored.revision = 0
		return
	}
	h.stored.revision, h.stored.lease = kvs[0].ModRevision, clientv3.LeaseID(kvs[0].Lease)
	if u, err := decodeUpload(string(kvs[0].Key), kvs[0].Value); err == nil && u.CancelRequested {
		h.requestCancel()
	}
}

func (h *Handle) requestCancel() {
	h.Change(func(u *Upload) { u.CancelRequested = true })
	h.cancel(ErrCancelled)
}

// ensureLease grants the lease that removes the state, unless there is one.
func (r *Registry) ensureLease(ctx context.Context, h *Handle) error {
	if h.stored.lease != 0 {
		return nil
	}
	grant, err := r.client.Grant(ctx, int64(retainFor.Seconds()))
	if err != nil {
		return fmt.Errorf("granting a lease for the state of an upload: %w", err)
	}
	h.stored.lease, h.stored.renewed = grant.ID, time.Now()
	return nil
}

// renewLease restarts the lease's time: when the upload ends, and every quarter of the lease's time before that.
func (r *Registry) renewLease(ctx context.Context, h *Handle, u Upload) error {
	if !u.State.Final() && time.Since(h.stored.renewed) < retainFor/4 {
		return nil
	}
	_, err := r.client.KeepAliveOnce(ctx, h.stored.lease)
	if err != nil {
		return fmt.Errorf("renewing the lease for the state of upload %s: %w", u.ID, err)
	}
	h.stored.renewed = time.Now()
	return nil
}

// pollCancels looks for cancel requests of this process's uploads in the keys that changed in etcd since the last
// poll, and renews the leases of long uploads.
func (r *Registry) pollCancels(ctx context.Context) {
	open := r.openUploads()
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
		return // the next poll sees the same changes
	}
	changed := map[string]int64{}
	for _, kv := range answer.Kvs {
		changed[string(kv.Key)] = kv.ModRevision
	}
	for id, h := range open {
		if revision, ok := changed[r.uploadKey(id)]; ok && revision != h.stored.revision {
			if err := r.rereadState(ctx, h, id); err != nil {
				return
			}
		}
		if h.stored.lease != 0 {
			if err := r.renewLease(ctx, h, Upload{ID: id}); err != nil {
				h.stored.lease = 0 // the next write grants another
			}
		}
	}
	r.seen = answer.Header.Revision
}

func (r *Registry) rereadState(ctx context.Context, h *Handle, id events.UploadID) error {
	answer, err := r.client.Get(ctx, r.uploadKey(id))
	if err == nil {
		h.adoptStored(answer.Kvs)
	}
	return err
}

// openUploads returns this process's uploads that have not ended.
func (r *Registry) openUploads() map[events.UploadID]*Handle {
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

// pruneEnded removes the oldest ended states when there are too many. It removes a tenth more than necessary, so that
// it does not run for every upload.
func (r *Registry) pruneEnded(ctx context.Context) {
	count, err := r.client.Get(ctx, r.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || count.Count <= int64(r.maxStates) {
		return
	}
	all, err := r.client.Get(ctx, r.prefix, clientv3.WithPrefix())
	if err != nil {
		return // the next new upload prunes too
	}
	type ended struct {
		upload Upload
		kv     *mvccpb.KeyValue
	}
	var finished []ended
	for _, kv := range all.Kvs {
		if u, err := decodeUpload(string(kv.Key), kv.Value); err != nil || u.State.Final() {
			finished = append(finished, ended{u, kv})
		}
	}
	slices.SortFunc(finished, func(a, b ended) int { return compareReceived(&a.upload, &b.upload) })
	for _, e := range finished[:min(len(finished), len(all.Kvs)-r.maxStates+r.maxStates/10)] {
		if err := r.removeState(ctx, e.kv); err != nil {
			r.lg.Debug("cannot remove the state of an old upload; its lease will remove it", "upload", e.upload.ID, "err", err)
			return
		}
	}
}

func (r *Registry) removeState(ctx context.Context, kv *mvccpb.KeyValue) error {
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
