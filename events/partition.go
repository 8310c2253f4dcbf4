package events

import (
	"cmp"

	"github.com/zeebo/xxh3"
)

// Partition is a fixed share of the log.
type Partition int

// MaxPartitions bounds the number of partitions: a key has three digits for it.
const MaxPartitions = 1000

// PartitionOf tells the partition of a host's events, of count in all. The hash is a fact of the log
// (Facts.PartitionHash) and never changes for one.
func PartitionOf(host HostID, count int) Partition {
	return Partition(xxh3.HashString(string(host)) % uint64(count))
}

// Facts are fixed when a cluster's log is first used, in config/{cluster-id}. A process whose own settings disagree refuses to
// start.
type Facts struct {
	Epoch         Epoch
	Cluster       uint64 // etcd's cluster id
	Partitions    int    // default 64
	PartitionHash string // "xxh3"
	Cut           CutRules
}

// CutRules say where an upload is cut into events; the cut must depend on the content alone, so they
// are facts and not settings.
type CutRules struct {
	EventRecords int // rows of one host, default 2,000
	EventBytes   int // bytes of source text of one host's rows, default 1 MiB
	OpenRecords  int // records open over all hosts, default 100,000
}

// WithDefaults gives the rules with the default in place of every zero.
func (r CutRules) WithDefaults() CutRules {
	return CutRules{
		EventRecords: cmp.Or(r.EventRecords, 2000),
		EventBytes:   cmp.Or(r.EventBytes, 1<<20),
		OpenRecords:  cmp.Or(r.OpenRecords, 100_000),
	}
}
