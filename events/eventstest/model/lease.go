package model

import (
	"maps"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// lease is a lease and the keys attached to it.
type lease struct {
	id      int64
	ttl     time.Duration
	keys    map[string]bool
	client  *Client
	expires time.Time
	timer   *time.Timer
}

// renew restarts the full time of a lease.
func (l *lease) renew() {
	l.expires = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
}

func (e *Etcd) grantLease(c *Client, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.noSpace {
		return nil, rpctypes.ErrGRPCNoSpace
	}
	id := r.ID
	if id == 0 {
		e.lastID++
		id = e.lastID
	}
	if e.leases[id] != nil {
		return nil, rpctypes.ErrGRPCLeaseExist
	}
	l := &lease{id: id, ttl: max(time.Duration(r.TTL)*time.Second, e.opt.MinLeaseTTL), keys: make(map[string]bool), client: c}
	l.expires = time.Now().Add(l.ttl)
	l.timer = time.AfterFunc(l.ttl, func() { e.expireLease(l) })
	e.leases[id] = l
	return &pb.LeaseGrantResponse{Header: e.responseHeader(), ID: id, TTL: int64(l.ttl / time.Second)}, nil
}

func (e *Etcd) revokeLease(c *Client, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.leases[r.ID]
	if l == nil {
		return nil, rpctypes.ErrGRPCLeaseNotFound
	}
	e.endLease(l, c.name)
	return &pb.LeaseRevokeResponse{Header: e.responseHeader()}, nil
}

// keepAlive renews a lease. The answer for a lease that does not exist has TTL 0.
func (e *Etcd) keepAlive(id int64) *pb.LeaseKeepAliveResponse {
	e.mu.Lock()
	defer e.mu.Unlock()
	resp := &pb.LeaseKeepAliveResponse{Header: e.responseHeader(), ID: id}
	if l := e.leases[id]; l != nil {
		l.renew()
		resp.TTL = int64(l.ttl / time.Second)
	}
	return resp
}

// expireLease ends a lease whose time is over, unless it was renewed meanwhile or the cluster is down.
func (e *Etcd) expireLease(l *lease) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leases[l.id] == l && !e.down && !time.Now().Before(l.expires) {
		e.endLease(l, "")
	}
}

// ExpireLeases ends the leases of a client at once, as etcd does when its clock jumps.
func (e *Etcd) ExpireLeases(c *Client) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(e.leases)) {
		if l := e.leases[id]; l.client == c {
			e.endLease(l, "")
		}
	}
}

// endLease removes a lease and its keys, in one revision. It needs the lock.
func (e *Etcd) endLease(l *lease, client string) {
	l.timer.Stop()
	delete(e.leases, l.id)
	x := &execution{etcd: e}
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		x.deleteKey(key, e.store.versionAt(key, e.store.rev))
	}
	e.commitChanges(client, nil, x.changes)
}

// detachKey detaches a key from a lease.
func (e *Etcd) detachKey(id int64, key string) {
	if l := e.leases[id]; l != nil {
		delete(l.keys, key)
	}
}
