package events

import (
	"fmt"
	"strconv"
	"strings"
)

// Epoch is a random number made at the first use of a cluster's keys and again at a restore. With the etcd cluster id
// it distinguishes logs whose revisions look alike.
type Epoch uint64

// Revision is a position in the log. Revisions of different logs (Epoch, Cluster) cannot be compared. The zero
// Revision is the beginning of any log.
type Revision struct {
	Epoch   Epoch
	Cluster uint64 // etcd's cluster id
	Number  int64  // etcd's revision
}

// String returns epoch, cluster and number as one token, which needs no escaping in a URL.
func (r Revision) String() string {
	return fmt.Sprintf("%x-%x-%d", uint64(r.Epoch), r.Cluster, r.Number)
}

// ParseRevision parses the result of String.
func ParseRevision(s string) (Revision, error) {
	bad := fmt.Errorf("parsing revision %.64q: pass one as an answer gave it, such as 1f-2e-42", s)
	parts := strings.Split(s, "-")
	if len(parts) != 3 {
		return Revision{}, bad
	}
	epoch, err1 := strconv.ParseUint(parts[0], 16, 64)
	cluster, err2 := strconv.ParseUint(parts[1], 16, 64)
	number, err3 := strconv.ParseInt(parts[2], 10, 64)
	r := Revision{Epoch: Epoch(epoch), Cluster: cluster, Number: number}
	if err1 != nil || err2 != nil || err3 != nil || r.String() != s {
		return Revision{}, bad
	}
	return r, nil
}

// SameLog reports whether r and s can be compared.
func (r Revision) SameLog(s Revision) bool { return r.Epoch == s.Epoch && r.Cluster == s.Cluster }
