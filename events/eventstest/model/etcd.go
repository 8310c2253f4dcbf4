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
	Progress        time.Duration // how often quiet watches that ask for it are told their progress
}

func (o Options) withDefaults() Options {
	o.ClusterID = cmp.Or(o.ClusterID, 0xe7cd)
	o.MaxTxnOps = cmp.Or(o.MaxTxnOps, 128)
	o.MaxRequestBytes = cmp.Or(o.MaxRequestBytes, 1536<<10)
	o.MinLeaseTTL = cmp.Or(o.MinLeaseTTL, 2*time.Second)
	o.Progress = cmp.Or(o.Progress, 10*time.Minute)
	return o
}

// Commit is a transaction that changed something, as Observe tells it.
type Commit struct {
	Revision int64
	Client   string        // who asked for it; "" for the end of a lease
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
	boots   int // how often it went down
	noSpace bool
}

// New makes an empty cluster. What it is asked and does not know fails tb.
func New(tb testing.TB, o Options) *Etcd {
	return &Etcd{tb: tb, opt: o.withDefaults(), store: newStore(), leases: make(map[int64]*lease), lastID: 0x7000}
}

// failUnknown fails the test because of a request that the model has no answer to.
func (e *Etcd) failUnknown(what string) {
	e.tb.Errorf("the model of etcd does not know %s", what)
}

// Observe has see called for every transaction that changes something, in order. It is called under the cluster's lock, so
// it is quick and asks the cluster nothing.
func (e *Etcd) Observe(see func(Commit)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.observe = append(e.observe, see)
}

// Revision is the newest one.
func (e *Etcd) Revision() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.store.rev
}

// Compact forgets all history before the newest revision, which it gives. Live keys stay.
func (e *Etcd) Compact() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.store.compact(e.store.rev)
	return e.store.rev
}

// SetNoSpace raises or disarms the alarm that makes etcd refuse whatever could need space.
func (e *Etcd) SetNoSpace(raised bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.noSpace = raised
}

// Stop takes the cluster down. Requests under way fail, whether they took effect or not; watches wait.
func (e *Etcd) Stop() {
	e.mu.Lock()
	e.down = true
	e.boots++
	e.mu.Unlock()
	e.wakeClients()
}

// Start has it back. A new leader gives every lease its full time again.
func (e *Etcd) Start() {
	e.mu.Lock()
	e.down = false
	for _, l := range e.leases {
		l.renew()
	}
	e.mu.Unlock()
	e.wakeClients()
}

// wakeClients has whoever waits for a connection look again.
func (e *Etcd) wakeClients() {
	e.mu.Lock()
	clients := slices.Clone(e.clients)
	e.mu.Unlock()
	for _, c := range clients {
		c.updateState(func() {})
	}
}

// runState tells whether the cluster is up, and how often it was not.
func (e *Etcd) runState() (up bool, boots int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.down, e.boots
}

// commitChanges ends a transaction: what it changed gets its revision, and watches hear of it. It needs the lock.
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

// responseHeader is what every answer begins with. It needs the lock.
func (e *Etcd) responseHeader() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: e.opt.ClusterID, MemberId: 1, RaftTerm: uint64(2 + e.boots), Revision: e.store.rev}
}
