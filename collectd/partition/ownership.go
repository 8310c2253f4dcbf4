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
	"telemetry-pipeline/events/eventlog"
)

// Ownership is one collector's part in sharing the partitions. Safe for concurrent use.
type Ownership struct {
	client     *clientv3.Client
	cfg        Config
	store      eventlog.Config
	partitions int
	lg         *slog.Logger
	metrics    metrics
	started    time.Time
	running    atomic.Bool

	mu       sync.Mutex
	self     string           // the member id, once Run has it
	sess     *session         // the present one, nil before the first; it may have ended
	renewed  chan struct{}    // closed and replaced when there is another sess
	problems map[string]error // by generation that is shared: why Ready is not nil
}

var errNotJoined = errors.New("not yet a member of the collectors")

// New makes the ownership of a collector over partitions 0 to partitions-1; it starts nothing. client is
// kept and not closed: give it one for this alone, because keepalives share its connection and must not
// wait behind bulk traffic. store says under which root and cluster the keys are.
func New(client *clientv3.Client, cfg Config, store eventlog.Config, partitions int, lg *slog.Logger) (*Ownership, error) {
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
		metrics: newMetrics(), started: time.Now().UTC(), renewed: make(chan struct{}), problems: map[string]error{},
	}, nil
}

// Run makes this collector a member until ctx ends or work returns; one Run at a time. It runs work, which shares
// generations meanwhile (Share), under a context that ends with ctx; all of them go by one lease. A lost lease ends
// all claims, and the collector joins again.
//
// When ctx ends the others stop counting on this member at once; Run waits for work, and revokes the lease last.
// It returns an error only when it cannot take part at all: the data directory is in use or not usable.
func (o *Ownership) Run(ctx context.Context, work func(ctx context.Context)) error {
	if !o.running.CompareAndSwap(false, true) {
		return errors.New("sharing partitions: already running")
	}
	defer o.running.Store(false)
	id, err := openIdentity(o.cfg.DataDir)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.self = id.member
	o.mu.Unlock()
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // leases outlive ctx until they are given back
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		work(ctx)
	})
	last := o.stay(ctx, life, id)
	if last != nil {
		last.hide()
	}
	wg.Wait()
	if last != nil {
		last.leave()
		o.lg.Info("left the collectors", "member", id.member)
	}
	return id.close()
}

// stay joins, and joins again when the lease is lost, until ctx ends. It gives the session that there is then,
// nil when there is none.
func (o *Ownership) stay(ctx, life context.Context, id *identity) *session {
	for ctx.Err() == nil {
		sess, err := o.join(ctx, life, id, membersOf(o.store)+events.Escape(id.member))
		if err != nil {
			return nil
		}
		o.lg.Info("joined the collectors", "member", id.member, "lease", fmt.Sprintf("%x", int64(sess.Lease())))
		o.renew(sess)
		select {
		case <-ctx.Done():
			return sess
		case <-sess.Done():
			o.lg.Warn("lease or member key lost; ending all claims and joining again", "member", id.member)
			sess.Orphan()
		}
	}
	return nil
}

func (o *Ownership) renew(sess *session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sess = sess
	close(o.renewed)
	o.renewed = make(chan struct{})
}

// session gives the present session once there is one that has not ended; nil when ctx ends first.
func (o *Ownership) session(ctx context.Context) *session {
	for ctx.Err() == nil {
		o.mu.Lock()
		sess, renewed := o.sess, o.renewed
		o.mu.Unlock()
		if sess != nil && sess.Ctx().Err() == nil {
			return sess
		}
		select {
		case <-renewed:
		case <-ctx.Done():
		}
	}
	return nil
}

// Share takes part in sharing the partitions of one generation until ctx ends; call it within Run's work, for each
// generation at most once at a time. For every claim won it runs hold in a goroutine of its own; when hold returns the
// claim is released. hold works until claim.Context() ends, then saves what it has under the guard and returns. A hold
// that returns by itself has its partition claimed again after a pause that grows.
//
// standing, where not nil, gives a compare that every claim carries: that the generation is still to be worked on.
//
// When ctx ends the contexts of all claims end with ErrStopping; Share waits for every hold, and releases each claim as
// its hold returns. When the lease is lost all claims end with ErrLost; a partition is not claimed again before its hold
// has returned.
func (o *Ownership) Share(ctx context.Context, generation string, standing func() clientv3.Cmp, hold func(claim *Claim)) {
	o.mu.Lock()
	self := o.self
	o.mu.Unlock()
	o.setProblem(generation, errNotJoined)
	defer o.forget(generation)
	newSharing(o, self, generation, standing, hold).run(ctx)
}

// Evict is the function Evict for the cluster of this ownership.
func (o *Ownership) Evict(generation string) clientv3.Op { return Evict(o.store, generation) }

// Ready is nil once the members are known and every partition of a generation that is shared has an owner, whoever
// it is.
func (o *Ownership) Ready(generation string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	problem, shared := o.problems[generation]
	if !shared {
		return errNotJoined
	}
	return problem
}

// setProblem notes why a generation is not ready.
func (o *Ownership) setProblem(generation string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.problems[generation] = err
}

func (o *Ownership) forget(generation string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.problems, generation)
}

// observe derives from a view of a generation what Ready and the metrics tell, and gives how many partitions of it
// have no owner.
func (o *Ownership) observe(generation string, v view) int {
	unowned, some := 0, events.Partition(0)
	for p := range events.Partition(o.partitions) {
		if _, owned := v.owners[p]; !owned {
			unowned, some = unowned+1, p
		}
	}
	o.metrics.members.Set(float64(len(v.members)))
	if unowned == 0 {
		o.setProblem(generation, nil)
		return 0
	}
	o.setProblem(generation, fmt.Errorf("%d of %d partitions have no owner, such as %d", unowned, o.partitions, some))
	return unowned
}
