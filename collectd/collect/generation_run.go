package collect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// generationRun is the folding of one generation by this collector.
type generationRun struct {
	generation projections.Generation
	info       atomic.Pointer[runInfo]
	active     chan struct{} // closed once the generation is active
	behind     atomic.Int64  // partitions owned here that have not reached the head
	otherLog   atomic.Bool   // the stored state of some partition was folded from another log

	stop context.CancelFunc
	done chan struct{} // closed when all its goroutines have ended
}

// runInfo is the record of a generation, with a channel that is closed when another record replaces it.
type runInfo struct {
	snapshot.GenerationInfo
	replaced chan struct{}
}

func newGenerationRun(g projections.Generation, info snapshot.GenerationInfo) *generationRun {
	w := &generationRun{generation: g, active: make(chan struct{}), done: make(chan struct{}), stop: func() {}}
	w.setInfo(info)
	return w
}

// setInfo stores the generation's record. One goroutine calls it.
func (w *generationRun) setInfo(info snapshot.GenerationInfo) {
	if was := w.info.Swap(&runInfo{info, make(chan struct{})}); was != nil {
		close(was.replaced)
	}
	if info.State == snapshot.Active && !w.isActive() {
		close(w.active)
	}
}

// isActive reports whether the generation is, or was, the active one. Until then it is folded under the
// catchUpLimiter.
func (w *generationRun) isActive() bool {
	select {
	case <-w.active:
		return true
	default:
		return false
	}
}

// goalRevision returns the revision whose offsets must be stored of every partition once it is folded up to there.
func (w *generationRun) goalRevision() int64 { return w.info.Load().Revision }

// generationStatus is the latest known state of all generations, and the runs of this collector.
type generationStatus struct {
	mu      sync.Mutex
	latest  *snapshot.Generations // nil: not known yet
	runs    map[projections.Generation]*generationRun
	changed chan struct{} // closed and replaced after each change
}

func newGenerationStatus() *generationStatus {
	return &generationStatus{runs: map[projections.Generation]*generationRun{}, changed: make(chan struct{})}
}

// setGenerations stores the state of all generations after the runs were reconciled with it.
func (p *generationStatus) setGenerations(all snapshot.Generations) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = &all
	close(p.changed)
	p.changed = make(chan struct{})
}

// currentGenerations returns the latest state, and a channel that is closed when it changes.
func (p *generationStatus) currentGenerations() (all snapshot.Generations, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest != nil {
		all = *p.latest
	}
	return all, p.changed
}

// ErrBuilding is the error of Ready while the collector folds the first generation of its model version beside an active
// one of an earlier version.
var ErrBuilding = errors.New("the generation of this model version is not active yet")

// activeRun returns the run of the active generation, or an error that explains why there is none.
func (p *generationStatus) activeRun(version int) (*generationRun, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.latest == nil {
		return nil, errGenerationsUnknown
	}
	active := p.latest.All[p.latest.Active].ModelVersion
	if w := p.runs[p.latest.Active]; w != nil {
		return w, nil
	}
	if active > version {
		return nil, fmt.Errorf("the active generation is of model version %d and this collector of version %d: it is idle; upgrade it", active, version)
	}
	return nil, fmt.Errorf("%w: the active generation is of model version %d, and the one of version %d is being folded", ErrBuilding, active, version)
}

func (p *generationStatus) setRun(g projections.Generation, w *generationRun) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[g] = w; w == nil {
		delete(p.runs, g)
	}
}

// startRun folds a generation until its stop is called; done is closed once all its goroutines have ended. A replaced
// log ends the whole collector: its error is passed to failed.
func (c *Collector) startRun(ctx context.Context, w *generationRun, failed func(error)) {
	ctx, w.stop = context.WithCancel(ctx)
	lg := c.lg.With("generation", w.generation)
	lg.Info("folding a generation", "state", w.info.Load().State, "model_version", c.version)
	condition := func() clientv3.Cmp { return c.gens.Unchanged(w.generation, w.info.Load().GenerationInfo) }
	go func() {
		defer close(w.done)
		c.owner.Share(ctx, string(w.generation), condition, func(claim *partition.Claim) {
			if err := c.foldClaim(claim, w); err != nil {
				failed(err)
			}
		})
	}()
}
