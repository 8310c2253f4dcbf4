package uploads

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// ErrUnknown is returned for an upload that is not known, or no longer known.
var ErrUnknown = errors.New("no such upload is known; states are kept for 24 h after the end")

// Get returns an upload's state: the current one of this process's uploads, the last written one of others.
func (r *Registry) Get(ctx context.Context, id events.UploadID) (Upload, error) {
	if h := r.ownHandle(id); h != nil {
		return h.Upload(), nil
	}
	u, _, err := r.readStored(ctx, id)
	return u, err
}

// readStored returns the state in etcd, and the revision at which it was written.
func (r *Registry) readStored(ctx context.Context, id events.UploadID) (u Upload, revision int64, err error) {
	if r.client == nil {
		return u, 0, ErrUnknown
	}
	key := r.uploadKey(id)
	answer, err := r.client.Get(ctx, key)
	if err != nil {
		return u, 0, fmt.Errorf("reading the state of upload %s: %w", id, err)
	}
	if len(answer.Kvs) == 0 {
		return u, 0, ErrUnknown
	}
	u, err = decodeUpload(key, answer.Kvs[0].Value)
	return u, answer.Kvs[0].ModRevision, err
}

// List returns the states for which pass returns true, newest first. When etcd does not answer, it returns this
// process's uploads and the error.
func (r *Registry) List(ctx context.Context, pass func(*Upload) bool) ([]Upload, error) {
	known := map[events.UploadID]Upload{}
	err := r.readAll(ctx, known)
	r.mu.Lock()
	for id, h := range r.own {
		known[id] = h.upload
	}
	r.mu.Unlock()
	list := []Upload{}
	for _, u := range known {
		if pass(&u) {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b Upload) int { return compareReceived(&b, &a) })
	return list, err
}

func (r *Registry) readAll(ctx context.Context, into map[events.UploadID]Upload) error {
	if r.client == nil {
		return nil
	}
	answer, err := r.client.Get(ctx, r.prefix, clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("reading the states of uploads: %w", err)
	}
	for _, kv := range answer.Kvs {
		u, err := decodeUpload(string(kv.Key), kv.Value)
		if err != nil {
			r.lg.Warn("the state of an upload is unreadable and omitted", "err", err)
			continue
		}
		into[u.ID] = u
	}
	return nil
}

const (
	followOwn    = 200 * time.Millisecond
	followOthers = time.Second // as often as their progress is written
)

// Follow yields an upload's state and each later change until the upload or ctx ends. It repeats the state when
// nothing has changed for the duration quiet. It ends after an error.
func (r *Registry) Follow(ctx context.Context, id events.UploadID, quiet time.Duration) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		var last, yieldedAt time.Time
		for {
			u, err := r.Get(ctx, id)
			switch {
			case err != nil:
				yield(Upload{}, err)
				return
			case u.UpdatedAt.Equal(last) && time.Since(yieldedAt) < quiet:
			case !yield(u, nil) || u.State.Final():
				return
			default:
				last, yieldedAt = u.UpdatedAt, time.Now()
			}
			pause := followOthers
			if r.ownHandle(id) != nil {
				pause = followOwn
			}
			if !wait.Sleep(ctx, pause) {
				return
			}
		}
	}
}

// Cancel requests the cancellation of an upload and returns its state. An upload that has ended stays unchanged. An
// upload of this process is cancelled at once, another process's within about a second.
func (r *Registry) Cancel(ctx context.Context, id events.UploadID) (Upload, error) {
	if h := r.ownHandle(id); h != nil {
		h.requestCancel()
		return h.Upload(), nil
	}
	for {
		u, revision, err := r.readStored(ctx, id)
		if err != nil || u.State.Final() || u.CancelRequested {
			return u, err
		}
		u.CancelRequested = true
		value, err := encodeUpload(u)
		if err != nil {
			return u, err
		}
		key := r.uploadKey(id)
		written, err := r.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, string(value), clientv3.WithIgnoreLease())).Commit()
		if err != nil {
			return u, fmt.Errorf("cancelling upload %s: %w", id, err)
		}
		if written.Succeeded {
			return u, nil
		}
	}
}
