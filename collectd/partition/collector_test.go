package partition

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestOneCollectorTakesAllAtOnceAndStopsFast(t *testing.T) {
	store := eventstest.Config(t)
	c := startCollector(t, store, Config{JoinDebounce: time.Hour, LeaseTTL: time.Minute})
	awaitNil(t, checkOwners(t, store, c))
	claim := c.heldClaims()[3]
	if !guardHolds(t, store, claim) {
		t.Error("the guard of a claim that holds failed")
	}
	if took := c.stop(t); took > 30*time.Second {
		t.Errorf("stopping took %v: it waited for something", took)
	}
	if guardHolds(t, store, claim) {
		t.Error("the guard held after the collector had stopped")
	}
	for _, cause := range c.endCauses() {
		if !errors.Is(cause, ErrStopping) {
			t.Errorf("got cause %v, want ErrStopping", cause)
		}
	}
	if err := c.own.Ready(generation); err == nil {
		t.Error("got ready after the stop")
	}
	for _, prefix := range []string{store.Prefix("owners"), store.Prefix("members")} {
		resp, err := eventstest.Etcd(t).Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil || len(resp.Kvs) != 0 {
			t.Errorf("got %v left under %s after the stop (%v)", resp.Kvs, prefix, err)
		}
	}
}

func TestCollectorsShareJoinAndLeave(t *testing.T) {
	store := eventstest.Config(t)
	a := startCollector(t, store, Config{})
	awaitNil(t, checkOwners(t, store, a))
	b := startCollector(t, store, Config{Moves: 2})
	c := startCollector(t, store, Config{})
	awaitNil(t, checkOwners(t, store, a, b, c))
	if len(a.endCauses()) == 0 {
		t.Fatal("nothing moved to the new collectors")
	}
	for _, cause := range a.endCauses() {
		if !errors.Is(cause, ErrMoved) {
			t.Errorf("got cause %v for a partition given away, want ErrMoved", cause)
		}
	}
	a.stop(t)
	awaitNil(t, checkOwners(t, store, b, c))
}

// A partition that moves is saved under its guard before the next owner can have it.
func TestReleaseBeforeClaim(t *testing.T) {
	store := eventstest.Config(t)
	saving, saved := make(chan *Claim, 10*shares), make(chan struct{})
	a := startCollector(t, store, Config{}, func(c *collector) {
		c.hold = func(claim *Claim) {
			<-claim.Context().Done()
			saving <- claim
			<-saved
		}
	})
	awaitNil(t, checkOwners(t, store, a))
	b := startCollector(t, store, Config{})
	claim := <-saving
	if cause := context.Cause(claim.Context()); !errors.Is(cause, ErrMoved) {
		t.Errorf("got cause %v, want ErrMoved", cause)
	}
	awaitNil(t, func() error { return b.own.Ready(generation) })
	if _, taken := b.heldClaims()[claim.Partition]; taken || !guardHolds(t, store, claim) {
		t.Errorf("partition %d went to another collector before its owner had saved", claim.Partition)
	}
	close(saved)
	awaitNil(t, checkOwners(t, store, a, b))
	if guardHolds(t, store, claim) {
		t.Error("the guard held after the release")
	}
}

func TestKilledCollectorIsReplacedWhenItsLeaseEnds(t *testing.T) {
	t.Parallel()
	store := eventstest.Config(t)
	a := startCollector(t, store, Config{LeaseTTL: 2 * time.Second})
	awaitNil(t, checkOwners(t, store, a))
	b := startCollector(t, store, Config{LeaseTTL: 2 * time.Second})
	awaitNil(t, checkOwners(t, store, a, b))
	var zombie *Claim
	for _, zombie = range a.heldClaims() {
		break
	}
	a.kill(t)
	awaitNil(t, checkOwners(t, store, b))
	if guardHolds(t, store, zombie) {
		t.Error("the guard of a killed collector's claim held after another had taken over")
	}
	if new := b.heldClaims()[zombie.Partition]; new.token <= zombie.token {
		t.Errorf("got token %d after %d, want a greater one", new.token, zombie.token)
	}
}

func TestLostLeaseEndsClaimsAndJoinsAgain(t *testing.T) {
	store := eventstest.Config(t)
	c := startCollector(t, store, Config{LeaseTTL: 2 * time.Second})
	awaitNil(t, checkOwners(t, store, c))
	old := c.heldClaims()
	etcd := eventstest.Etcd(t)
	resp, err := etcd.Get(t.Context(), keysOf(store, generation).ownerOf(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	for p, claim := range old {
		select {
		case <-claim.Context().Done():
		case <-time.After(patience):
			t.Fatalf("claim on partition %d did not end though its lease is gone", p)
		}
		if cause := context.Cause(claim.Context()); !errors.Is(cause, ErrLost) {
			t.Errorf("got cause %v, want ErrLost", cause)
		}
	}
	awaitNil(t, checkOwners(t, store, c))
	for p, claim := range c.heldClaims() {
		if claim == old[p] || claim.token <= old[p].token {
			t.Errorf("partition %d: got token %d after %d, want a new claim", p, claim.token, old[p].token)
		}
	}
}

func TestRestartReplacesTheDeadProcessAtOnce(t *testing.T) {
	store := eventstest.Config(t)
	cfg := Config{DataDir: t.TempDir(), LeaseTTL: time.Hour, JoinDebounce: time.Hour}
	other := startCollector(t, store, Config{LeaseTTL: time.Hour})
	awaitNil(t, checkOwners(t, store, other)) // the next one must not come first, since it releases nothing to others for an hour
	dead := startCollector(t, store, cfg)
	awaitNil(t, checkOwners(t, store, other, dead))
	if second, err := New(other.client, cfg, store, shares, nil); err != nil {
		t.Fatal(err)
	} else if err := runShared(t.Context(), second, func(*Claim) {}); !errors.Is(err, ErrLocked) {
		t.Errorf("running twice on one data directory: got %v, want ErrLocked", err)
	}
	dead.kill(t)
	again := startCollector(t, store, cfg)
	awaitNil(t, checkOwners(t, store, other, again)) // far less than the hour of its lease
}

func TestUnclearAnswersToClaimsAreResolved(t *testing.T) {
	store := eventstest.Config(t)
	var mu sync.Mutex
	calls := 0
	lose := func(call string) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; call == "txn" && calls%2 == 0 {
			return errors.New("answer lost")
		}
		return nil
	}
	c := startCollector(t, store, Config{LeaseTTL: time.Minute}, func(c *collector) {
		c.client.KV = &eventstest.KV{KV: c.client.KV, After: lose}
	})
	awaitNil(t, checkOwners(t, store, c))
	for p, claim := range c.heldClaims() {
		if !guardHolds(t, store, claim) {
			t.Errorf("the guard of partition %d does not hold", p)
		}
	}
}

// After a hold returns by itself its partition is claimed again, not at once, and not by another member.
func TestHoldThatReturnsIsRunAgain(t *testing.T) {
	store := eventstest.Config(t)
	type run struct {
		claim *Claim
		at    time.Time
	}
	runs := make(chan run, 100)
	client := eventstest.Etcd(t)
	own, err := New(client, Config{LeaseTTL: 2 * time.Second}, store, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- runShared(ctx, own, func(claim *Claim) {
			runs <- run{claim, time.Now()}
			claim.Lost(errors.New("a write was fenced"))
		})
	}()
	first := <-runs
	for range 3 {
		next := <-runs
		if next.claim.token <= first.claim.token {
			t.Errorf("got token %d after %d, want a greater one", next.claim.token, first.claim.token)
		}
		if gap := next.at.Sub(first.at); gap < 40*time.Millisecond {
			t.Errorf("claimed again after %v, want a pause", gap)
		}
		if cause := context.Cause(first.claim.Context()); !errors.Is(cause, ErrLost) || !strings.Contains(cause.Error(), "a write was fenced") {
			t.Errorf("got cause %v, want ErrLost with what the owner said", cause)
		}
		first = next
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOwnerKeyTakenAwayEndsTheClaim(t *testing.T) {
	store := eventstest.Config(t)
	c := startCollector(t, store, Config{LeaseTTL: time.Minute})
	awaitNil(t, checkOwners(t, store, c))
	claim := c.heldClaims()[5]
	if _, err := eventstest.Etcd(t).Delete(t.Context(), keysOf(store, generation).ownerOf(5)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-claim.Context().Done():
	case <-time.After(patience):
		t.Fatal("the claim did not end though its key is gone")
	}
	awaitNil(t, checkOwners(t, store, c))
	if got := c.heldClaims()[5]; got == claim {
		t.Error("got the old claim, want a new one")
	}
}

func TestEtcdAwayAndBack(t *testing.T) {
	t.Parallel()
	server := eventstest.NewServer(t, nil)
	store := server.Config(t)
	c := startCollector(t, store, Config{LeaseTTL: 2 * time.Second})
	holdsAll := func() error {
		if n := len(c.heldClaims()); n != shares {
			return fmt.Errorf("got %d partitions held, want %d", n, shares)
		}
		return c.own.Ready(generation)
	}
	awaitNil(t, holdsAll)
	server.Stop()
	awaitNil(t, func() error {
		if len(c.heldClaims()) > 0 {
			return errors.New("claims go on without a lease")
		}
		return nil
	})
	if c.own.Ready(generation) == nil {
		t.Error("got ready without etcd")
	}
	server.Start(t)
	awaitNil(t, holdsAll)
	server.Stop()
	if took := c.stop(t); took > 30*time.Second {
		t.Errorf("stopping without etcd took %v: it waited for etcd", took)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	store := eventstest.Config(t)
	c := startCollector(t, store, Config{DataDir: t.TempDir(), LeaseTTL: time.Minute})
	awaitNil(t, checkOwners(t, store, c))
	c.stop(t)
	c.client.Close()
	awaitNil(t, func() error {
		buf := make([]byte, 1<<20)
		stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
		left := slices.DeleteFunc(stacks, func(s string) bool {
			return strings.Contains(s, "testing.tRunner") || !strings.Contains(s, "collectd/partition.")
		})
		if len(left) > 0 {
			return fmt.Errorf("still running:\n%s", strings.Join(left, "\n\n"))
		}
		return nil
	})
}

func TestBadSettingsAreRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"ttl": {LeaseTTL: time.Second}, "debounce": {JoinDebounce: -1}, "moves": {Moves: -1},
	} {
		if _, err := New(nil, cfg, eventlog.Config{}, shares, nil); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := New(nil, Config{}, eventlog.Config{}, 0, nil); err == nil {
		t.Error("no partitions: got no error")
	}
}

// An upload during the stop of a collector does not wait for the lease to end because etcd is slow.
func TestAGracefulStopReleasesEverythingAtOnceAlsoWhenEtcdIsSlow(t *testing.T) {
	store := eventstest.Config(t)
	var slow atomic.Bool
	answer := func(string) error {
		if slow.Load() {
			<-time.After(300 * time.Millisecond)
		}
		return nil
	}
	c := startCollector(t, store, Config{LeaseTTL: time.Hour}, func(c *collector) {
		c.client.KV = &eventstest.KV{KV: c.client.KV, Before: answer}
		c.client.Lease = slowLease{c.client.Lease, answer}
	})
	awaitNil(t, checkOwners(t, store, c))
	slow.Store(true)
	c.stop(t)
	for _, prefix := range []string{store.Prefix("owners"), store.Prefix("members")} {
		resp, err := eventstest.Etcd(t).Get(t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil || len(resp.Kvs) != 0 {
			t.Errorf("got %v left under %s after the stop (%v)", resp.Kvs, prefix, err)
		}
	}
}

// slowLease is an etcd that delays its answers to Revoke until answer returns.
type slowLease struct {
	clientv3.Lease
	answer func(string) error
}

func (l slowLease) Revoke(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	_ = l.answer("revoke")
	return l.Lease.Revoke(ctx, id)
}
