package events

import (
	"cmp"
	"strings"
)

// Ref is where an event of the log is. Refs are ordered by revision, then key.
type Ref struct {
	Key      string
	Revision Revision
}

// Compare orders refs of one log.
func (r Ref) Compare(s Ref) int {
	return cmp.Or(cmp.Compare(r.Revision.Number, s.Revision.Number), strings.Compare(r.Key, s.Key))
}

// Listing asks for refs from one end of a range of revisions: those with After < revision ≤ Upto.
type Listing struct {
	Partition    Partition
	HasPartition bool // else of all
	After, Upto  Revision
	Newest       bool // newest first, else oldest first
	Limit        int  // at least 1
}
