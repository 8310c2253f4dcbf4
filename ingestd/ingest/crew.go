package ingest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// crew is a set of goroutines that succeed or fail together: the first error ends the others' context, with
// itself as the cause. A panic counts as an error, so that it ends one upload and not the process.
type crew struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	onFail func(error) // called once, with the first error; may be nil
	wg     sync.WaitGroup
	once   sync.Once
	err    error // set before the context ends
}

func newCrew(ctx context.Context, onFail func(error)) *crew {
	c := &crew{onFail: onFail}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c
}

func (c *crew) start(stage func(ctx context.Context) error) {
	c.wg.Go(func() {
		if err := caught(func() error { return stage(c.ctx) }); err != nil {
			c.fail(err)
		}
	})
}

// caught makes a panic an error.
func caught(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

func (c *crew) fail(err error) {
	c.once.Do(func() {
		c.err = err
		c.cancel(err)
		if c.onFail != nil {
			c.onFail(err)
		}
	})
}

// wait blocks until all have ended and gives the first error.
func (c *crew) wait() error {
	c.wg.Wait()
	c.cancel(nil)
	return c.err
}
