package partition

import (
	"context"
	"flag"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// Config says how a collector takes part. The zero value of each field means its default.
type Config struct {
	DataDir      string        // keeps the member id; "" means a new random id at each start. Flag partition.data-dir
	LeaseTTL     time.Duration // default 15s. Flag partition.lease-ttl
	JoinDebounce time.Duration // default 2s. Flag partition.join-debounce
	Moves        int           // partitions being given away at a time, default 16. Flag partition.moves
	ModelVersion string        // told in the member's key; set by the program, not by a flag
}

// Flags registers the flags under the names above.
func (c *Config) Flags(fs *flag.FlagSet) { panic("contract") }

// Ownership is one collector's part in sharing the partitions. Safe for concurrent use.
type Ownership struct{}

// New makes the ownership of a collector; it starts nothing. client is kept and not closed; give it one that carries
// no bulk traffic, because keepalives share its connection.
func New(client *clientv3.Client, cfg Config, store events.Config, partitions int, lg *slog.Logger) (*Ownership, error) {
	panic("contract")
}

// Run takes part until ctx ends. For every claim won it runs hold in a goroutine of its own; when hold returns the
// claim is released. hold works until claim.Context() ends, then saves what it has under the guard and returns
// (saving may fail with a failed guard when the claim was lost). When ctx ends all claims' contexts end, Run waits for every hold, releases and
// revokes the lease. A lost lease ends all claims and a new one is made with backoff; Run returns an error only when it cannot
// take part at all (data directory locked by another process).
func (o *Ownership) Run(ctx context.Context, generation string, hold func(claim *Claim)) error {
	panic("contract")
}

// Ready is nil once the members are known and every partition has an owner (whoever it is).
func (o *Ownership) Ready() error { panic("contract") }

// Claim is one partition won. Safe for concurrent use.
type Claim struct {
	Partition  events.Partition
	Generation string
}

// Guard is the compare that each transaction of the owner carries: it holds as long as the claim does.
func (c *Claim) Guard() clientv3.Cmp { panic("contract") }

// Context ends when the claim is lost (context.Cause is ErrLost or wraps it), must be given to another member
// (ErrMoved) or the collector stops (ErrStopping). In the latter two the guard still holds: save, then return.
func (c *Claim) Context() context.Context { panic("contract") }

// Release gives the partition up after the last write. It is called by Run when hold returns; call it earlier to let others have the partition sooner.
func (c *Claim) Release(ctx context.Context) error { panic("contract") }

// Lost tells that a write of the owner was fenced: the claim ends at once and is not released.
func (c *Claim) Lost(err error) { panic("contract") }
