package events

import (
	"cmp"
	"strings"
)

// Ref is the position of an event in the log. Refs are ordered by revision, then key.
type Ref struct {
	Key      string
	Revision Revision
}

// Compare orders refs of the same log.
func (r Ref) Compare(s Ref) int {
	return cmp.Or(cmp.Compare(r.Revision.Number, s.Revision.Number), strings.Compare(r.Key, s.Key))
}

// Listing is a request for refs from one end of a range of revisions, After < revision ≤ Upto.
type Listing struct {
	Partition    Partition
	HasPartition bool // false: all partitions
	After, Upto  Revision
	Newest       bool // newest first; false: oldest first
	Limit        int  // at least 1
}
