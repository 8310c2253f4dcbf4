package eventstest

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// KV is a client's KV that can fail on purpose: before a call takes effect, or after it, as if the answer were lost. Use it
// as client.KV = &eventstest.KV{KV: client.KV, …}. The hooks may be called from several goroutines.
type KV struct {
	clientv3.KV
	Before func(call string) error // "put", "get", "delete", "do", "txn"; an error is returned instead of making the call
	After  func(call string) error // an error replaces the answer to a call that succeeded
}

// Put calls the client's Put between the hooks.
func (k *KV) Put(ctx context.Context, key, val string, opts ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	return callWithFaults(k, "put", func() (*clientv3.PutResponse, error) { return k.KV.Put(ctx, key, val, opts...) })
}

// Get calls the client's Get between the hooks.
func (k *KV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return callWithFaults(k, "get", func() (*clientv3.GetResponse, error) { return k.KV.Get(ctx, key, opts...) })
}

// Delete calls the client's Delete between the hooks.
func (k *KV) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	return callWithFaults(k, "delete", func() (*clientv3.DeleteResponse, error) { return k.KV.Delete(ctx, key, opts...) })
}

// Do calls the client's Do between the hooks.
func (k *KV) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	r, err := callWithFaults(k, "do", func() (*clientv3.OpResponse, error) {
		r, err := k.KV.Do(ctx, op)
		return &r, err
	})
	if err != nil {
		return clientv3.OpResponse{}, err
	}
	return *r, nil
}

// Txn returns the client's transaction, with the hooks around its Commit.
func (k *KV) Txn(ctx context.Context) clientv3.Txn { return &txn{k, k.KV.Txn(ctx)} }

// txn forwards every step to the real transaction.
type txn struct {
	kv   *KV
	real clientv3.Txn
}

func (t *txn) If(cs ...clientv3.Cmp) clientv3.Txn   { return &txn{t.kv, t.real.If(cs...)} }
func (t *txn) Then(ops ...clientv3.Op) clientv3.Txn { return &txn{t.kv, t.real.Then(ops...)} }
func (t *txn) Else(ops ...clientv3.Op) clientv3.Txn { return &txn{t.kv, t.real.Else(ops...)} }
func (t *txn) Commit() (*clientv3.TxnResponse, error) {
	return callWithFaults(t.kv, "txn", t.real.Commit)
}

func callWithFaults[R any](k *KV, call string, do func() (*R, error)) (*R, error) {
	if err := callHook(k.Before, call); err != nil {
		return nil, err
	}
	r, err := do()
	if err != nil {
		return nil, err
	}
	if err := callHook(k.After, call); err != nil {
		return nil, err
	}
	return r, nil
}

func callHook(h func(string) error, call string) error {
	if h == nil {
		return nil
	}
	return h(call)
}
