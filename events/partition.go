package events

import "github.com/zeebo/xxh3"

// Partition is a fixed share of the log.
type Partition int

// MaxPartitions bounds the number of partitions: a key has three digits for it.
const MaxPartitions = 1000

// PartitionOf tells the partition of a host's events, of count in all. The hash is a fact of the log
// (Facts.PartitionHash) and never changes for one.
func PartitionOf(host HostID, count int) Partition {
	return Partition(xxh3.HashString(string(host)) % uint64(count))
}
