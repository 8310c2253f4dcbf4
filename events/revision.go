package events

// Epoch is a random number made when a cluster's keys are first used and again at a restore; with the
// etcd cluster id it tells one log from another whose revisions look alike.
type Epoch uint64

// Revision is a position in the log: revisions of different logs (Epoch, Cluster) cannot be compared.
// The zero Revision is the beginning of any log.
type Revision struct {
	Epoch   Epoch
	Cluster uint64 // etcd's cluster id
	Number  int64  // etcd's revision
}

// String writes epoch, cluster and number as one token; ParseRevision undoes it.
func (r Revision) String() string { panic("contract") }

// ParseRevision reads what String wrote.
func ParseRevision(s string) (Revision, error) { panic("contract") }

// SameLog tells whether r and s can be compared.
func (r Revision) SameLog(s Revision) bool { return r.Epoch == s.Epoch && r.Cluster == s.Cluster }
