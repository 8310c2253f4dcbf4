package collect

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// work is a generation that this collector folds.
type work struct {
	generation projections.Generation
	info       atomic.Pointer[snapshot.GenerationInfo]
	active     chan struct{} // closed once it is the active generation
	behind     atomic.Int64  // partitions owned here that have not reached the head
	ofAnother  atomic.Bool   // what is stored of some partition was folded from another log

	stop context.CancelFunc
	done chan struct{} // closed when nothing of it runs any more
}

func newWork(g projections.Generation, info snapshot.GenerationInfo) *work {
	w := &work{generation: g, active: make(chan struct{}), done: make(chan struct{}), stop: func() {}}
	w.see(info)
	return w
}

// see takes in the generation's record. One goroutine calls it.
func (w *work) see(info snapshot.GenerationInfo) {
	w.info.Store(&info)
	if info.State == snapshot.Active && !w.isActive() {
		close(w.active)
	}
}

// isActive tells whether the generation is, or was, the active one. Until then it is folded in the background.
func (w *work) isActive() bool {
	select {
	case <-w.active:
		return true
	default:
		return false
	}
}

// goal is a position that is to be stored of every partition once it is folded up to there.
func (w *work) goal() int64 { return w.info.Load().Revision }

// picture is the newest that is known of all generations.
type picture struct {
	mu      sync.Mutex
	seen    *snapshot.Generations // nil: nothing yet
	works   map[projections.Generation]*work
	changed chan struct{} // closed and replaced when something changed
}

func newPicture() *picture {
	return &picture{works: map[projections.Generation]*work{}, changed: make(chan struct{})}
}

// take takes in a picture after works were brought in line with it.
func (p *picture) take(all snapshot.Generations) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = &all
	close(p.changed)
	p.changed = make(chan struct{})
}

// now gives what is known, and a channel that closes when that changes.
func (p *picture) now() (all snapshot.Generations, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen != nil {
		all = *p.seen
	}
	return all, p.changed
}

// served gives the work on the active generation, or why there is none.
func (p *picture) served(version int) (*work, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		return nil, errUnknown
	}
	active := p.seen.All[p.seen.Active].ModelVersion
	if w := p.works[p.seen.Active]; w != nil {
		return w, nil
	}
	if active > version {
		return nil, fmt.Errorf("the active generation is of model version %d and this collector of version %d: it is idle; upgrade it", active, version)
	}
	return nil, fmt.Errorf("the active generation is of model version %d; that of version %d is folded and not active yet", active, version)
}

func (p *picture) put(g projections.Generation, w *work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.works[g] = w; w == nil {
		delete(p.works, g)
	}
}

// start works on a generation until its stop is called; tasks has ended by then. A log that was replaced ends the whole
// collector: failed is told.
func (c *Collector) start(ctx context.Context, w *work, failed func(error)) {
	ctx, w.stop = context.WithCancel(ctx)
	lg := c.lg.With("generation", w.generation)
	lg.Info("folding a generation", "state", w.info.Load().State, "model_version", c.version)
	standing := func() clientv3.Cmp { return c.gens.Standing(w.generation, *w.info.Load()) }
	go func() {
		defer close(w.done)
		c.owner.Share(ctx, string(w.generation), standing, func(claim *partition.Claim) {
			if err := c.hold(claim, w); err != nil {
				failed(err)
			}
		})
	}()
}
