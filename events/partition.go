package events

import (
	"fmt"
	"strconv"

	"github.com/zeebo/xxh3"
)

// Partition is a fixed share of the log.
type Partition int

// PartitionHash is the name of the only hash there is so far (PartitionOf), as Facts hold it.
const PartitionHash = "xxh3"

// MaxPartitions bounds the number of partitions: keys have three digits for one.
const MaxPartitions = 1000

// String writes three digits, as every key has them; ParsePartition undoes it.
func (p Partition) String() string { return fmt.Sprintf("%03d", int(p)) }

// ParsePartition reads what String wrote, and nothing else.
func ParsePartition(s string) (Partition, error) {
	p, err := strconv.ParseUint(s, 10, 16)
	if err != nil || p >= MaxPartitions || Partition(p).String() != s {
		return 0, fmt.Errorf("parsing partition %.20q: it is three digits", s)
	}
	return Partition(p), nil
}

// PartitionOf tells the partition of a host's events, of count in all. The hash is a fact of the log
// (Facts.PartitionHash) and never changes for one.
func PartitionOf(host HostID, count int) Partition {
	return Partition(xxh3.HashString(string(host)) % uint64(count))
}
