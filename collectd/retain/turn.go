package retain

import (
	"context"
	"time"
)

// restFactor is the least rest between two objects, as a multiple of the time that the first one took: making objects then
// takes a quarter of a core, and folding and answers have the rest.
const restFactor = 3

// objectTurns lets the partitions of a process make objects one after the other, with rests between them. Objects take
// memory and a core, and many partitions have enough records at about the same time.
type objectTurns struct {
	last chan objectTurn // holds the last turn while no object is being made
	rest time.Duration   // restFactor; tests set 0
}

// objectTurn is the making of an object.
type objectTurn struct {
	ended time.Time
	took  time.Duration
}

func newObjectTurns() objectTurns {
	o := objectTurns{make(chan objectTurn, 1), restFactor}
	o.last <- objectTurn{}
	return o
}

// acquireWriter waits until no other partition makes objects, whether they rest or not. The returned function ends the
// turn, of so much work.
func (k *Keeper) acquireWriter(ctx context.Context) (done func(work time.Duration), err error) {
	select {
	case last := <-k.turns.last:
		return k.turns.endOf(last), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeTurn is like acquireWriter but does not wait for rests: done is nil while objects rest. With behind they never do,
// and less the higher etcd's pressure is.
func (k *Keeper) takeTurn(ctx context.Context, behind bool, level int) (done func(work time.Duration), err error) {
	select {
	case last := <-k.turns.last:
		if !behind && time.Since(last.ended) < k.turns.restAfter(last, level) {
			k.turns.last <- last
			return nil, nil
		}
		return k.turns.endOf(last), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// restAfter returns the rest after a turn at a level of etcd's pressure.
func (o objectTurns) restAfter(t objectTurn, level int) time.Duration {
	return t.took * max(0, o.rest-time.Duration(level))
}

// endOf returns the function that ends a turn that follows last.
func (o objectTurns) endOf(last objectTurn) func(work time.Duration) {
	return func(work time.Duration) {
		if work > 0 {
			last = objectTurn{time.Now(), work}
		}
		o.last <- last
	}
}
