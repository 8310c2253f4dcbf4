package retain

import (
	"context"
	"sync"
	"time"

	"telemetry-pipeline/events/eventlog"
)

// maxLevel is the level at which nothing stays in etcd that may leave it.
const maxLevel = 5

// pressure measures how much etcd exceeds its share. Safe for concurrent use.
type pressure struct {
	share   int // percent of the quota
	step    time.Duration
	measure func(ctx context.Context) (eventlog.Capacity, error)

	mu             sync.Mutex
	capacity       eventlog.Capacity
	measuredAt     time.Time
	level          int
	levelChangedAt time.Time
}

// measurementTTL is how long a measurement counts.
const measurementTTL = 2 * time.Second

// currentLevel returns 0 while etcd is within its share. While it is not, the level grows step by step, up to
// maxLevel: each step takes effect only with the next compaction, and is waited for.
func (p *pressure) currentLevel(ctx context.Context) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.measuredAt) >= measurementTTL {
		p.measuredAt = now
		if c, err := p.measure(ctx); err == nil {
			p.capacity = c
			p.adjustLevel(now)
		}
	}
	return p.level
}

// adjustLevel applies a new measurement.
func (p *pressure) adjustLevel(now time.Time) {
	budget := p.inUseBudget()
	if budget == 0 {
		p.level = 0
		return
	}
	switch {
	case p.capacity.InUse > budget && p.level == 0:
		p.level, p.levelChangedAt = 1, now
	case now.Sub(p.levelChangedAt) < p.step:
	case p.capacity.InUse > budget:
		p.level, p.levelChangedAt = min(p.level+1, maxLevel), now
	case p.capacity.InUse < budget/10*7:
		p.level, p.levelChangedAt = max(p.level-1, 0), now
	}
}

// inUseBudget returns the bytes that may be in use, or 0 where etcd has no quota.
func (p *pressure) inUseBudget() int64 { return p.capacity.Quota / 100 * int64(p.share) }

// lastMeasurement returns the last measurement with its budget and level.
func (p *pressure) lastMeasurement() (c eventlog.Capacity, budget int64, level int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.capacity, p.inUseBudget(), p.level
}
