package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// Ownership is one collector's part in sharing the partitions. Safe for concurrent use.
type Ownership struct {
	client     *clientv3.Client
	cfg        Config
	store      events.Config
	partitions int
	lg         *slog.Logger
	metrics    metrics
	started    time.Time
	running    atomic.Bool

	mu      sync.Mutex
	problem error // why Ready is not nil
}

var errNotJoined = errors.New("not yet a member of the collectors")

// New makes the ownership of a collector over partitions 0 to partitions-1; it starts nothing. client is
// kept and not closed: give it one for this alone, because keepalives share its connection and must not
// wait behind bulk traffic. store says under which root and cluster the keys are.
func New(client *clientv3.Client, cfg Config, store events.Config, partitions int, lg *slog.Logger) (*Ownership, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if partitions < 1 {
		return nil, fmt.Errorf("sharing %d partitions: there must be at least one", partitions)
	}
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Ownership{
		client: client, cfg: cfg, store: store, partitions: partitions, lg: lg,
		metrics: newMetrics(), started: time.Now().UTC(), problem: errNotJoined,
	}, nil
}

// Run takes part until ctx ends; one Run at a time. For every claim won it runs hold in a goroutine of its
// own; when hold returns the claim is released. hold works until claim.Context() ends, then saves what it
// has under the guard and returns. A hold that returns by itself has its partition claimed again after a
// pause that grows.
//
// When ctx ends the contexts of all claims end with ErrStopping; Run waits for every hold, releases each
// claim as its hold returns, and revokes the lease. A lost lease ends all claims with ErrLost, and the
// collector joins again; a partition is not claimed again before its hold has returned. Run returns an
// error only when it cannot take part at all: the data directory is in use or not usable.
func (o *Ownership) Run(ctx context.Context, generation string, hold func(claim *Claim)) error {
	if !o.running.CompareAndSwap(false, true) {
		return errors.New("sharing partitions: already running")
	}
	defer o.running.Store(false)
	id, err := openIdentity(o.cfg.DataDir)
	if err != nil {
		return err
	}
	s := newSharing(o, id.member, generation, hold)
	s.run(ctx, id)
	o.setProblem(errNotJoined)
	return id.close()
}

// Ready is nil once the members are known and every partition has an owner, whoever it is.
func (o *Ownership) Ready() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.problem
}

func (o *Ownership) setProblem(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.problem = err
}

// observe derives from a view what Ready and the metrics tell.
func (o *Ownership) observe(v view) {
	unowned, some := 0, events.Partition(0)
	for p := range events.Partition(o.partitions) {
		if _, owned := v.owners[p]; !owned {
			unowned, some = unowned+1, p
		}
	}
	o.metrics.members.Set(float64(len(v.members)))
	o.metrics.unowned.Set(float64(unowned))
	if unowned == 0 {
		o.setProblem(nil)
		return
	}
	o.setProblem(fmt.Errorf("%d of %d partitions have no owner, such as %d", unowned, o.partitions, some))
}
