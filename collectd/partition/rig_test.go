package partition

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

const (
	generation = "g1"
	shares     = 16

	// patience bounds the wait of a test: far more than needed, since machines are busy.
	patience = 2 * time.Minute
)

// collector is a running Ownership whose holds keep their claims until the claims end.
type collector struct {
	own    *Ownership
	client *clientv3.Client
	cancel context.CancelFunc
	done   chan error
	hold   func(*Claim) // called by each hold before it waits for its end

	mu     sync.Mutex
	claims map[events.Partition]*Claim
	causes []error
}

func startCollector(t *testing.T, store eventlog.Config, cfg Config, adjust ...func(*collector)) *collector {
	t.Helper()
	client, err := store.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.LeaseTTL = max(cfg.LeaseTTL, 2*time.Second)
	if cfg.JoinDebounce == 0 {
		cfg.JoinDebounce = 50 * time.Millisecond
	}
	own, err := New(client, cfg, store, shares, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &collector{own: own, client: client, cancel: cancel, done: make(chan error, 1), claims: make(map[events.Partition]*Claim)}
	for _, f := range adjust {
		f(c)
	}
	go func() { c.done <- runShared(ctx, own, c.holdClaim) }()
	t.Cleanup(func() {
		c.stop(t)
		client.Close()
	})
	return c
}

// runShared takes part in sharing one generation.
func runShared(ctx context.Context, own *Ownership, hold func(*Claim)) error {
	return own.Run(ctx, func(ctx context.Context) { own.Share(ctx, generation, nil, hold) })
}

func (c *collector) holdClaim(claim *Claim) {
	c.mu.Lock()
	c.claims[claim.Partition] = claim
	c.mu.Unlock()
	if c.hold != nil {
		c.hold(claim)
	}
	<-claim.Context().Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.claims, claim.Partition)
	c.causes = append(c.causes, context.Cause(claim.Context()))
}

func (c *collector) heldClaims() map[events.Partition]*Claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.claims)
}

// stop ends Run and returns the duration of that. A second call does nothing.
func (c *collector) stop(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	c.cancel()
	select {
	case err, running := <-c.done:
		if running && err != nil {
			t.Errorf("Run ended with %v", err)
		}
		if running {
			close(c.done)
		}
	case <-time.After(patience):
		t.Fatal("Run did not end")
	}
	return time.Since(start)
}

// kill cuts the collector off from etcd without releasing anything, as a killed process would be.
func (c *collector) kill(t *testing.T) {
	t.Helper()
	c.client.Close()
	c.stop(t)
}

// endCauses returns the causes of the holds that have ended so far.
func (c *collector) endCauses() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.causes)
}

// awaitNil waits until check returns nil.
func awaitNil(t *testing.T, check func() error) {
	t.Helper()
	start := time.Now()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Since(start) > patience {
			t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// checkOwners returns nil when the collectors own all partitions between them, each exactly those for which it ranks
// first.
func checkOwners(t *testing.T, store eventlog.Config, collectors ...*collector) func() error {
	etcd := eventstest.Etcd(t)
	k := keysOf(store, generation)
	return func() error {
		for _, c := range collectors {
			if err := c.own.Ready(generation); err != nil {
				return err
			}
		}
		resp, err := etcd.Get(t.Context(), k.members, clientv3.WithPrefix())
		if err != nil {
			return err
		}
		var members []string
		for _, kv := range resp.Kvs {
			id, err := k.parseMember(string(kv.Key))
			if err != nil {
				return err
			}
			members = append(members, id)
		}
		if len(members) != len(collectors) {
			return fmt.Errorf("got %d members, want %d", len(members), len(collectors))
		}
		want := assignAll(members, shares)
		total := 0
		for _, c := range collectors {
			for p, claim := range c.heldClaims() {
				total++
				owner, err := etcd.Get(t.Context(), k.ownerOf(p))
				if err != nil || len(owner.Kvs) == 0 {
					return fmt.Errorf("partition %d is held and not owned in etcd (%v)", p, err)
				}
				if got := string(owner.Kvs[0].Value); got != want[p] || owner.Kvs[0].CreateRevision != claim.token {
					return fmt.Errorf("partition %d: got owner %s with token %d, want %s with %d",
						p, got, owner.Kvs[0].CreateRevision, want[p], claim.token)
				}
			}
		}
		if total != shares {
			return fmt.Errorf("got %d partitions held, want %d", total, shares)
		}
		return nil
	}
}

// guardHolds reports whether a write under the claim's guard succeeds.
func guardHolds(t *testing.T, store eventlog.Config, claim *Claim) bool {
	t.Helper()
	resp, err := eventstest.Etcd(t).Txn(t.Context()).If(claim.Guard()).Then(clientv3.OpPut(store.Key("written"), "x")).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return resp.Succeeded
}
