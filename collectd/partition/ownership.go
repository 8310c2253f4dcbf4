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

	mu             sync.Mutex
	self           string           // the member id, set by Run
	session        *session         // the current session, nil before the first; it may have ended
	sessionChanged chan struct{}    // closed and replaced with each new session
	problems       map[string]error // by shared generation: why Ready returns an error
}

var errNotJoined = errors.New("not yet a member of the collectors")

// New returns the ownership of a collector over partitions 0 to partitions-1; it starts nothing. client is kept and
// not closed, and should be used for nothing else, because keepalives share its connection and must not wait behind
// bulk traffic. store sets the root and cluster of the keys.
func New(client *clientv3.Client, cfg Config, store eventlog.Config, partitions int, lg *slog.Logger) (*Ownership, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
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
		metrics: newMetrics(), started: time.Now().UTC(), sessionChanged: make(chan struct{}), problems: map[string]error{},
	}, nil
}

// Run makes this collector a member until ctx ends or work returns; one Run at a time. It runs work, which shares
// generations meanwhile (Share), under a context that ends with ctx; all generations use one lease. A lost lease ends
// all claims, and the collector joins again.
//
// When ctx ends the others stop counting this member at once; Run waits for work, and revokes the lease last. It
// returns an error only when the collector cannot take part at all: the data directory is in use or not usable.
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
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // leases outlive ctx until they are revoked
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		work(ctx)
	})
	last := o.keepMembership(ctx, life, id)
	if last != nil {
		last.deleteMemberKey()
	}
	wg.Wait()
	if last != nil {
		last.endLease()
		o.lg.Info("left the collectors", "member", id.member)
	}
	return id.unlockDir()
}

// keepMembership joins, and joins again when the lease is lost, until ctx ends. It returns the last session, or nil
// when there is none.
func (o *Ownership) keepMembership(ctx, life context.Context, id *identity) *session {
	for ctx.Err() == nil {
		sess, err := o.joinMembers(ctx, life, id, membersOf(o.store)+events.Escape(id.member))
		if err != nil {
			return nil
		}
		o.lg.Info("joined the collectors", "member", id.member, "lease", fmt.Sprintf("%x", int64(sess.Lease())))
		o.setSession(sess)
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

func (o *Ownership) setSession(sess *session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.session = sess
	close(o.sessionChanged)
	o.sessionChanged = make(chan struct{})
}

// awaitSession returns the current session once there is one that has not ended; nil when ctx ends first.
func (o *Ownership) awaitSession(ctx context.Context) *session {
	for ctx.Err() == nil {
		o.mu.Lock()
		sess, renewed := o.session, o.sessionChanged
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

// Share takes part in sharing the partitions of one generation until ctx ends; it is called within Run's work, for
// each generation at most once at a time. For every claim won it runs hold in a goroutine of its own; when hold
// returns the claim is released. hold works until claim.Context() ends, then saves its state under the guard and
// returns. After a hold that returns by itself its partition is claimed again after a growing pause.
//
// condition, if not nil, returns a compare that every claim carries: that the generation is still to be worked on.
//
// When ctx ends the contexts of all claims end with ErrStopping; Share waits for every hold, and releases each claim
// as its hold returns. When the lease is lost all claims end with ErrLost; a partition is not claimed again before
// its hold has returned.
func (o *Ownership) Share(ctx context.Context, generation string, condition func() clientv3.Cmp, hold func(claim *Claim)) {
	o.mu.Lock()
	self := o.self
	o.mu.Unlock()
	o.setProblem(generation, errNotJoined)
	defer o.clearProblem(generation)
	newGenerationShare(o, self, generation, condition, hold).runSessions(ctx)
}

// Evict calls the function Evict for the cluster of this ownership.
func (o *Ownership) Evict(generation string) clientv3.Op { return Evict(o.store, generation) }

// Ready returns nil once the members are known and every partition of a shared generation has an owner, on any
// member.
func (o *Ownership) Ready(generation string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	problem, shared := o.problems[generation]
	if !shared {
		return errNotJoined
	}
	return problem
}

// setProblem sets the reason why a generation is not ready.
func (o *Ownership) setProblem(generation string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.problems[generation] = err
}

func (o *Ownership) clearProblem(generation string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.problems, generation)
}

// observeView updates readiness and metrics from a view of a generation, and returns the number of its partitions
// without an owner.
func (o *Ownership) observeView(generation string, v view) int {
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
