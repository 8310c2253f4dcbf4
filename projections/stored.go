package projections

import "telemetry-pipeline/events"

// Generation names one complete set of projections.
type Generation string

// Offsets are a partition's positions in the log: everything up to Live is in the stored live and identity
// models, everything up to Series in stored chunks. Both only grow.
type Offsets struct {
	Live, Series events.Revision
	HotFrom      Window // windows from here on are in etcd
	Records      int64  // folded in this generation so far, for people: a record folded again counts again
}

// Stored is one stored change of one host. A nil model did not change.
type Stored struct {
	Host      events.HostID
	Partition events.Partition
	Live      *Live
	Identity  *Identity
	Removed   bool // both models are gone
}

// Batch holds all changes of stored models up to a position since the batch before. Without
// changes it is progress.
type Batch struct {
	At      events.Revision // position in the projections (an etcd revision; its log is the same)
	Hosts   []Stored
	Offsets map[events.Partition]Offsets

	Unreadable []Unreadable // values that are missing above
}
