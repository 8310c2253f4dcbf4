package partition

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// Claim is one partition won. Safe for concurrent use.
type Claim struct {
	Partition  events.Partition
	Generation string

	kv     clientv3.KV
	key    string
	token  int64 // the owner key's create revision
	ctx    context.Context
	cancel context.CancelCauseFunc

	releasing sync.Mutex // held while giving back
	released  bool       // guarded by releasing
}

func newClaim(parent context.Context, kv clientv3.KV, k keys, generation string, w won) *Claim {
	ctx, cancel := context.WithCancelCause(parent)
	return &Claim{
		Partition: w.partition, Generation: generation,
		kv: kv, key: k.owner(w.partition), token: w.token, ctx: ctx, cancel: cancel,
	}
}

// Guard is the compare that each transaction of the owner carries: it holds as long as the claim does.
func (c *Claim) Guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(c.key), "=", c.token)
}

// Context ends when the claim ends; context.Cause tells why. ErrMoved (another member is to have the
// partition) and ErrStopping (the collector stops): the guard still holds, so save what is there and
// return. ErrLost: the guard no longer holds, and saving would be fenced.
func (c *Claim) Context() context.Context { return c.ctx }

// Lost tells that a write of the owner was fenced: the claim ends at once.
func (c *Claim) Lost(err error) {
	if err == nil {
		c.cancel(ErrLost)
		return
	}
	c.cancel(fmt.Errorf("%w: %w", ErrLost, err))
}

// release gives the partition up after the owner's last write; an unclear answer is retried until ctx ends.
// Again does nothing.
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
		if err == nil { // deleted, or another's already
			c.released = true
			return nil
		}
		if !pause.Wait(ctx) {
			return fmt.Errorf("releasing partition %d (its lease will end it): %w", c.Partition, err)
		}
	}
}
