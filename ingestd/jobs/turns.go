package jobs

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// turns lets jobs work, a bounded number at a time and a smaller one of each owner: the jobs of one owner wait behind each other, and
// not before the ones of others. It is safe for concurrent use.
type turns struct {
	all   *semaphore.Weighted
	share int64 // of one owner

	mu     sync.Mutex
	owners map[string]*ownerTurns // of the owners whose jobs work or wait, by id
}

// ownerTurns are the turns of one owner.
type ownerTurns struct {
	sem  *semaphore.Weighted
	jobs int
}

// newTurns returns turns for a number of jobs at a time, of which one owner has three quarters at most.
func newTurns(workers int) *turns {
	return &turns{all: semaphore.NewWeighted(int64(workers)), share: int64(max(workers*3/4, 1)), owners: map[string]*ownerTurns{}}
}

// await waits for the turn of a job of an owner, "" for nobody. The caller ends the turn by leave.
func (t *turns) await(ctx context.Context, owner string) (leave func(), err error) {
	leaveShare, err := t.awaitShare(ctx, owner)
	if err != nil {
		return nil, err
	}
	if err := t.all.Acquire(ctx, 1); err != nil {
		leaveShare()
		return nil, err
	}
	return func() { t.all.Release(1); leaveShare() }, nil
}

// awaitShare waits for one of the owner's turns.
func (t *turns) awaitShare(ctx context.Context, owner string) (leave func(), err error) {
	if owner == "" {
		return func() {}, nil
	}
	own := t.enterOwner(owner)
	if err := own.sem.Acquire(ctx, 1); err != nil {
		t.leaveOwner(owner, own)
		return nil, err
	}
	return func() { own.sem.Release(1); t.leaveOwner(owner, own) }, nil
}

// enterOwner returns the turns of an owner, for one more job.
func (t *turns) enterOwner(owner string) *ownerTurns {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.owners[owner]
	if own == nil {
		own = &ownerTurns{sem: semaphore.NewWeighted(t.share)}
		t.owners[owner] = own
	}
	own.jobs++
	return own
}

func (t *turns) leaveOwner(owner string, own *ownerTurns) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.jobs--; own.jobs == 0 {
		delete(t.owners, owner)
	}
}
