package partition

import (
	"github.com/zeebo/xxh3"

	"telemetry-pipeline/events"
)

// topMember returns the member that ranks first for p (rendezvous hashing): the one with the highest score; ties go
// to the smaller name. It depends on the set of members alone. A member that joins takes only the partitions that
// rank to it; a member that leaves does not move the partitions of others.
func topMember(members []string, p events.Partition) string {
	best, top := members[0], rendezvousScore(members[0], p)
	for _, m := range members[1:] {
		if s := rendezvousScore(m, p); s > top || s == top && m < best {
			best, top = m, s
		}
	}
	return best
}

// rendezvousScore is part of the protocol between collectors: members that compute it differently fight over
// partitions.
func rendezvousScore(member string, p events.Partition) uint64 {
	return xxh3.HashStringSeed(member, uint64(p))
}
