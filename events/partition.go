package events

import (
	"fmt"
	"strconv"

	"github.com/zeebo/xxh3"
)

// Partition is the number of a fixed share of the log.
type Partition int

// PartitionHash is the name of the hash in PartitionOf, as stored in Facts. There is no other one so far.
const PartitionHash = "xxh3"

// MaxPartitions bounds the number of partitions: keys have three digits for a partition.
const MaxPartitions = 1000

// String returns three digits, as in keys.
func (p Partition) String() string { return fmt.Sprintf("%03d", int(p)) }

// ParsePartition parses the result of String and rejects any other text.
func ParsePartition(s string) (Partition, error) {
	p, err := strconv.ParseUint(s, 10, 16)
	if err != nil || p >= MaxPartitions || Partition(p).String() != s {
		return 0, fmt.Errorf("parsing partition %.20q: it is three digits", s)
	}
	return Partition(p), nil
}

// PartitionOf returns the partition of a host's events, out of count. The hash is a fact of the log
// (Facts.PartitionHash) and never changes within a log.
func PartitionOf(host HostID, count int) Partition {
	return Partition(xxh3.HashString(string(host)) % uint64(count))
}
