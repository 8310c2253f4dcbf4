package partition

import (
	"cmp"
	"flag"
	"fmt"
	"time"
)

const (
	defaultLeaseTTL     = 20 * time.Second
	defaultJoinDebounce = 2 * time.Second
	defaultMoves        = 16

	minLeaseTTL = 2 * time.Second // etcd's own minimum with its default election timeout
)

// Config holds the settings of a collector's membership. The zero value of each field means its default.
type Config struct {
	// DataDir keeps the member id and the last lease, so that a restart replaces its own dead process at once. Empty
	// means a new random id at each start; a dead process's claims then last until its lease expires.
	DataDir string
	// LeaseTTL is the time for which a silent collector keeps its claims; default 20 s. A keepalive that hangs on a
	// dead connection must be detected and sent again in time: LeaseTTL > DialKeepAliveTime + DialKeepAliveTimeout +
	// LeaseTTL/3 of the client passed to New, whose ping interval gRPC keeps at 10 s or more.
	LeaseTTL time.Duration
	// JoinDebounce is the time after which other members move partitions to a new member; default 2 s.
	JoinDebounce time.Duration
	// Moves bounds the partitions that a member releases to others at a time; default 16.
	Moves int
	// ModelVersion is stored in the member's key: members of one version share generations. The program sets it; it
	// has no flag.
	ModelVersion string
}

// Flags registers the flags partition.data-dir and partition.lease-ttl.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.DataDir, "partition.data-dir", c.DataDir,
		"directory that keeps this collector's member id, so that a restart takes its partitions over at once; empty: a new id at each start")
	fs.DurationVar(&c.LeaseTTL, "partition.lease-ttl", cmp.Or(c.LeaseTTL, defaultLeaseTTL),
		"how long a silent collector keeps its partitions; longer than ping interval + ping timeout + a third of itself")
}

func (c Config) withDefaults() Config {
	c.LeaseTTL = cmp.Or(c.LeaseTTL, defaultLeaseTTL)
	c.JoinDebounce = cmp.Or(c.JoinDebounce, defaultJoinDebounce)
	c.Moves = cmp.Or(c.Moves, defaultMoves)
	return c
}

func (c Config) validate() error {
	switch {
	case c.LeaseTTL < minLeaseTTL:
		return fmt.Errorf("partition.lease-ttl is %v: use at least %v", c.LeaseTTL, minLeaseTTL)
	case c.JoinDebounce < 0:
		return fmt.Errorf("join debounce is %v: use a positive time", c.JoinDebounce)
	case c.Moves < 0:
		return fmt.Errorf("moves is %d: use a positive number", c.Moves)
	}
	return nil
}
