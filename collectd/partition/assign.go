package partition

import (
	"github.com/zeebo/xxh3"

	"telemetry-pipeline/events"
)

// first gives the member that ranks first for p (rendezvous hashing): the one with the highest score; ties
// go to the smaller name. It depends on the set of members alone; a member that comes takes only what ranks
// to it, one that goes leaves all others' partitions where they are.
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
