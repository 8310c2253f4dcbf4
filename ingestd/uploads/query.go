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

// ErrUnknown is the answer for an upload that is not known, or not any more.
var ErrUnknown = errors.New("no such upload is known; states are kept for 24 h after the end")

// Get gives an upload's state: as it is now for one of this process, as it was last written for others.
func (r *Registry) Get(ctx context.Context, id events.UploadID) (Upload, error) {
	if h := r.mine(id); h != nil {
		return h.Upload(), nil
	}
	u, _, err := r.read(ctx, id)
	return u, err
}

// read gives what is in etcd, and the revision at which it was written.
func (r *Registry) read(ctx context.Context, id events.UploadID) (u Upload, revision int64, err error) {
	if r.client == nil {
		return u, 0, ErrUnknown
	}
	key := r.key(id)
	answer, err := r.client.Get(ctx, key)
	if err != nil {
		return u, 0, fmt.Errorf("reading the state of upload %s: %w", id, err)
	}
	if len(answer.Kvs) == 0 {
		return u, 0, ErrUnknown
	}
	u, err = decode(key, answer.Kvs[0].Value)
	return u, answer.Kvs[0].ModRevision, err
}

// List gives the states that pass, the newest first. When etcd does not answer, those of this process are
// given, with the error.
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
	slices.SortFunc(list, func(a, b Upload) int { return order(&b, &a) })
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
		u, err := decode(string(kv.Key), kv.Value)
		if err != nil {
			r.lg.Warn("the state of an upload is left out", "err", err)
			continue
		}
		into[u.ID] = u
	}
	return nil
}

const (
	followOwn    = 200 * time.Millisecond
	followOthers = time.Second // as often as they are written
)

// Follow gives an upload's state, then what it changes to, until it has ended or ctx has; and again the state
// as it was when nothing has changed for so long as quiet says. An error ends it.
func (r *Registry) Follow(ctx context.Context, id events.UploadID, quiet time.Duration) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		var last, told time.Time
		for {
			u, err := r.Get(ctx, id)
			switch {
			case err != nil:
				yield(Upload{}, err)
				return
			case u.UpdatedAt.Equal(last) && time.Since(told) < quiet:
			case !yield(u, nil) || u.State.Final():
				return
			default:
				last, told = u.UpdatedAt, time.Now()
			}
			pause := followOthers
			if r.mine(id) != nil {
				pause = followOwn
			}
			if !wait.Sleep(ctx, pause) {
				return
			}
		}
	}
}

// Cancel asks whoever has the upload to cancel it, and gives its state. One that has ended stays as it is. An
// upload of this process begins to end at once, one of another within about a second.
func (r *Registry) Cancel(ctx context.Context, id events.UploadID) (Upload, error) {
	if h := r.mine(id); h != nil {
		h.wishCancelled()
		return h.Upload(), nil
	}
	for {
		u, revision, err := r.read(ctx, id)
		if err != nil || u.State.Final() || u.CancelRequested {
			return u, err
		}
		u.CancelRequested = true
		value, err := encode(u)
		if err != nil {
			return u, err
		}
		key := r.key(id)
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
