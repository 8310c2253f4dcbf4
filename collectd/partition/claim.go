package partition

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// Claim is the ownership of one partition by this process. Safe for concurrent use.
type Claim struct {
	Partition  events.Partition
	Generation string

	kv     clientv3.KV
	key    string
	token  int64 // the owner key's create revision
	ctx    context.Context
	cancel context.CancelCauseFunc

	releasing sync.Mutex // held during the release
	released  bool       // guarded by releasing
}

func newClaim(parent context.Context, kv clientv3.KV, k keys, generation string, w wonClaim) *Claim {
	ctx, cancel := context.WithCancelCause(parent)
	return &Claim{
		Partition: w.partition, Generation: generation,
		kv: kv, key: k.ownerOf(w.partition), token: w.token, ctx: ctx, cancel: cancel,
	}
}

// Guard returns the compare that each transaction of the owner carries: it holds as long as the claim does.
func (c *Claim) Guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(c.key), "=", c.token)
}

// Context returns a context that ends with the claim; context.Cause returns the reason. With ErrMoved (another member
// is to own the partition) and ErrStopping (the collector stops) the guard still holds, so the owner saves its state
// and returns. With ErrLost the guard no longer holds, and a save would be fenced.
func (c *Claim) Context() context.Context { return c.ctx }

// Lost ends the claim at once because a write of the owner was fenced with err.
func (c *Claim) Lost(err error) {
	if err == nil {
		c.cancel(ErrLost)
		return
	}
	c.cancel(fmt.Errorf("%w: %w", ErrLost, err))
}

// release deletes the owner key after the owner's last write; an unclear answer is retried until ctx ends. A second
// call does nothing.
func (c *Claim) release(ctx context.Context) error {
	c.releasing.Lock()
	defer c.releasing.Unlock()
	if c.released {
		return nil
	}
	c.cancel(errReleased)
	pause := newBackoff()
	for {
		_, err := c.kv.Txn(ctx).If(c.Guard()).Then(clientv3.OpDelete(c.key)).Commit()
		if err == nil { // deleted, or owned by another member already
			c.released = true
			return nil
		}
		if !pause.Wait(ctx) {
			return fmt.Errorf("releasing partition %d (its lease will end it): %w", c.Partition, err)
		}
	}
}
