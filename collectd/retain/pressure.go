package retain

import (
	"context"
	"sync"
	"time"

	"telemetry-pipeline/events/eventlog"
)

// maxLevel is where nothing stays in etcd but what has to.
const maxLevel = 5

// pressure is how much fuller etcd is than its share. Safe for concurrent use.
type pressure struct {
	share int // percent of the quota
	step  time.Duration
	ask   func(ctx context.Context) (eventlog.Capacity, error)

	mu      sync.Mutex
	last    eventlog.Capacity
	askedAt time.Time
	raised  int
	movedAt time.Time
}

// fresh is how long a measurement counts.
const fresh = 2 * time.Second

// level is 0 while etcd is within its share, and grows step by step, up to maxLevel, while it is not: each step takes
// effect only with the next compaction, and is waited for.
func (p *pressure) level(ctx context.Context) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.askedAt) >= fresh {
		p.askedAt = now
		if c, err := p.ask(ctx); err == nil {
			p.last = c
			p.move(now)
		}
	}
	return p.raised
}

// move takes in a measurement.
func (p *pressure) move(now time.Time) {
	budget := p.budget()
	if budget == 0 {
		p.raised = 0
		return
	}
	switch {
	case p.last.InUse > budget && p.raised == 0:
		p.raised, p.movedAt = 1, now
	case now.Sub(p.movedAt) < p.step:
	case p.last.InUse > budget:
		p.raised, p.movedAt = min(p.raised+1, maxLevel), now
	case p.last.InUse < budget/10*7:
		p.raised, p.movedAt = max(p.raised-1, 0), now
	}
}

// budget is what may be in use; 0 where etcd has no quota.
func (p *pressure) budget() int64 { return p.last.Quota / 100 * int64(p.share) }

// seen gives the last measurement and what follows from it.
func (p *pressure) seen() (c eventlog.Capacity, budget int64, level int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.budget(), p.raised
}
