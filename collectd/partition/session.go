package partition

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const (
	joinTimeout  = 5 * time.Second
	leaveTimeout = 2 * time.Second // for each of the two steps of leaving: a slow disk takes its time, and the lease's end removes the rest
)

// session is a lease kept alive, with this collector's member key on it.
type session struct {
	*concurrency.Session
	client *clientv3.Client
	key    string // of the member
	id     *identity
	lg     *slog.Logger
}

// memberValue is the value of a member key. Members of one model version share the generations of that version; the
// rest is for people.
type memberValue struct {
	Host         string    `json:"host"`
	PID          int       `json:"pid"`
	StartedAt    time.Time `json:"started"`
	ModelVersion string    `json:"model_version,omitempty"`
}

// joinMembers grants a lease, kept alive until life ends, puts the member key on it, and then revokes the leases that
// earlier processes of this member left behind: in this order the others see the member all the time, and the
// partitions of the dead process are free for this one at once. Failures are retried until ctx ends.
func (o *Ownership) joinMembers(ctx, life context.Context, id *identity, key string) (*session, error) {
	pause := newBackoff()
	for {
		s, err := o.tryJoin(ctx, life, id, key)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		err = o.store.ExplainRefusal(err)
		o.lg.Warn("joining the collectors; trying again", "member", id.member, "err", err)
		o.setProblems(err)
		if !pause.Wait(ctx) {
			return nil, err
		}
	}
}

// setProblems sets the reason why no shared generation is ready: there is no session.
func (o *Ownership) setProblems(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for g := range o.problems {
		o.problems[g] = err
	}
}

func (o *Ownership) tryJoin(ctx, life context.Context, id *identity, key string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	value, err := json.Marshal(memberValue{localHostname(), os.Getpid(), o.started, o.cfg.ModelVersion})
	if err != nil {
		return nil, fmt.Errorf("writing member key: %w", err)
	}
	grant, err := o.client.Grant(ctx, int64(math.Ceil(o.cfg.LeaseTTL.Seconds())))
	if err != nil {
		return nil, fmt.Errorf("making a lease in etcd: %w", err)
	}
	previous := id.leases
	if err := id.storeLeases(append(previous[:len(previous):len(previous)], grant.ID)...); err != nil {
		return nil, err
	}
	kept, err := concurrency.NewSession(o.client, concurrency.WithLease(grant.ID), concurrency.WithContext(life))
	if err != nil {
		return nil, fmt.Errorf("keeping the lease alive: %w", err)
	}
	s := &session{Session: kept, client: o.client, key: key, id: id, lg: o.lg}
	if _, err := o.client.Put(ctx, key, string(value), clientv3.WithLease(grant.ID)); err != nil {
		kept.Orphan()
		return nil, fmt.Errorf("writing member key: %w", err)
	}
	if err := s.revokeOthers(ctx, previous); err != nil {
		kept.Orphan()
		return nil, err
	}
	return s, nil
}

// revokeOthers revokes leases of earlier processes. A lease that cannot be revoked now expires by itself.
func (s *session) revokeOthers(ctx context.Context, leases []clientv3.LeaseID) error {
	for _, lease := range leases {
		if err := revokeLease(ctx, s.client, lease); err != nil {
			s.lg.Warn("revoking the lease of an earlier process; its partitions wait for the lease's end", "err", err)
		}
	}
	return s.id.storeLeases(s.Lease())
}

// deleteMemberKey deletes the member key, so that the others rank without this member while it still drains.
func (s *session) deleteMemberKey() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	mine := clientv3.Compare(clientv3.LeaseValue(s.key), "=", s.Lease())
	if _, err := s.client.Txn(ctx).If(mine).Then(clientv3.OpDelete(s.key)).Commit(); err != nil {
		s.lg.Debug("deleting member key failed; the end of the lease deletes it", "err", err)
	}
}

// endLease revokes the lease and with it deletes every key of this collector.
func (s *session) endLease() {
	s.Orphan()
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := revokeLease(ctx, s.client, s.Lease()); err != nil {
		s.lg.Warn("revoking the lease; partitions not yet released wait for its end", "err", err)
		return
	}
	if err := s.id.storeLeases(); err != nil {
		s.lg.Debug("forgetting the lease", "err", err)
	}
}

func revokeLease(ctx context.Context, client *clientv3.Client, lease clientv3.LeaseID) error {
	_, err := client.Revoke(ctx, lease)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil
	}
	return err
}

func localHostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
