package model

import (
	"cmp"
	"slices"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Options are settings of an etcd. The zero value of each field means etcd's own default.
type Options struct {
	ClusterID       uint64
	MaxTxnOps       int
	MaxRequestBytes int
	MinLeaseTTL     time.Duration
	Progress        time.Duration // interval of progress notifications to idle watches that request them
}

func (o Options) withDefaults() Options {
	o.ClusterID = cmp.Or(o.ClusterID, 0xe7cd)
	o.MaxTxnOps = cmp.Or(o.MaxTxnOps, 128)
	o.MaxRequestBytes = cmp.Or(o.MaxRequestBytes, 1536<<10)
	o.MinLeaseTTL = cmp.Or(o.MinLeaseTTL, 2*time.Second)
	o.Progress = cmp.Or(o.Progress, 10*time.Minute)
	return o
}

// Commit is a transaction that changed keys, as passed to the functions of Observe.
type Commit struct {
	Revision int64
	Client   string        // the name of the client; "" for the end of a lease
	Compares []*pb.Compare // the transaction's own, which all held
	Events   []*mvccpb.Event
}

// Etcd is a cluster. Safe for concurrent use.
type Etcd struct {
	tb  testing.TB
	opt Options

	mu      sync.Mutex
	store   store
	leases  map[int64]*lease
	lastID  int64
	watches []*watch // in order of their creation
	clients []*Client
	observe []func(Commit)
	down    bool
	boots   int // number of times it went down
	noSpace bool
}

// New returns an empty cluster. A request that the model does not implement fails tb.
func New(tb testing.TB, o Options) *Etcd {
	return &Etcd{tb: tb, opt: o.withDefaults(), store: newStore(), leases: make(map[int64]*lease), lastID: 0x7000}
}

// failUnknown fails the test because of a request that the model does not implement.
func (e *Etcd) failUnknown(what string) {
	e.tb.Errorf("the model of etcd does not know %s", what)
}

// Observe registers see to be called for every transaction that changes keys, in order. It is called under the cluster's
// lock, so it must be quick and must not call the cluster.
func (e *Etcd) Observe(see func(Commit)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.observe = append(e.observe, see)
}

// Revision returns the newest revision.
func (e *Etcd) Revision() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store.rev
}

// Compact compacts the store at its newest revision, which it returns. Live keys stay.
func (e *Etcd) Compact() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.store.compact(e.store.rev)
	return e.store.rev
}

// SetNoSpace raises or disarms the alarm that makes etcd refuse requests that could need space.
func (e *Etcd) SetNoSpace(raised bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.noSpace = raised
}

// Stop stops the cluster. Pending requests fail, whether they took effect or not; watches wait.
func (e *Etcd) Stop() {
	e.mu.Lock()
	e.down = true
	e.boots++
	e.mu.Unlock()
	e.wakeClients()
}

// Start starts the cluster again. A new leader renews every lease.
func (e *Etcd) Start() {
	e.mu.Lock()
	e.down = false
	for _, l := range e.leases {
		l.renew()
	}
	e.mu.Unlock()
	e.wakeClients()
}

// wakeClients wakes the calls and watches that wait for a connection.
func (e *Etcd) wakeClients() {
	e.mu.Lock()
	clients := slices.Clone(e.clients)
	e.mu.Unlock()
	for _, c := range clients {
		c.updateState(func() {})
	}
}

// runState reports whether the cluster is up, and returns how often it went down.
func (e *Etcd) runState() (up bool, boots int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.down, e.boots
}

// commitChanges commits the changes of a transaction as a new revision and notifies the watches. It needs the lock.
func (e *Etcd) commitChanges(client string, compares []*pb.Compare, changes []*mvccpb.Event) {
	if len(changes) == 0 {
		return
	}
	e.store.rev++
	e.store.log = append(e.store.log, changes...)
	for _, w := range e.watches {
		w.noteCommit(e.store.rev, changes)
	}
	for _, see := range e.observe {
		see(Commit{Revision: e.store.rev, Client: client, Compares: compares, Events: changes})
	}
}

// responseHeader returns the header of an answer. It needs the lock.
func (e *Etcd) responseHeader() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: e.opt.ClusterID, MemberId: 1, RaftTerm: uint64(2 + e.boots), Revision: e.store.rev}
}
