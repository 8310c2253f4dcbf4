package partition

import (
	"github.com/zeebo/xxh3"

	"telemetry-pipeline/events"
)

// Assign tells for each partition which member ranks first for it (rendezvous hashing). It depends on the set of
// members alone; a member that comes takes only what ranks to it, one that goes leaves all others' partitions where they
// are. Without members the map is empty.
func Assign(members []string, partitions int) map[events.Partition]string {
	ranked := make(map[events.Partition]string, partitions)
	if len(members) == 0 {
		return ranked
	}
	for p := range events.Partition(partitions) {
		ranked[p] = first(members, p)
	}
	return ranked
}

// first gives the member with the highest score for p; ties go to the smaller name.
func first(members []string, p events.Partition) string {
	best, top := members[0], score(members[0], p)
	for _, m := range members[1:] {
		if s := score(m, p); s > top || s == top && m < best {
			best, top = m, s
		}
	}
	return best
}

// score is part of the protocol between collectors: members that compute it differently fight over partitions.
func score(member string, p events.Partition) uint64 {
	return xxh3.HashStringSeed(member, uint64(p))
}
