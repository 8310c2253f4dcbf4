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
	Trace   events.TraceContext // of the save that stored it, if it is sampled

	Upload events.UploadID // of a change: the upload whose event was folded last before it was stored; "" if it is not known

	Unreadable []Unreadable // values that are missing above
}

// HostWindows names the windows First to Last of a host.
type HostWindows struct {
	Host        events.HostID
	Partition   events.Partition
	First, Last Window
}

// ChunkQuery asks for the stored chunks of windows.
type ChunkQuery struct {
	Of []HostWindows
	// HotFrom returns about the first window of a partition that is still wholly in etcd: of windows before it few chunks are
	// expected.
	HotFrom func(events.Partition) Window
	Most    bool // the hosts are most of all hosts, so that chunks of others are few
}

// ChunkList is where the stored records of hosts are.
type ChunkList struct {
	Chunks map[events.HostID][]WindowChunks // ascending in windows; windows without chunks are left out
	// HotFrom is Offsets.HotFrom of each partition as of the list: the records of windows from there on are in these chunks, also if
	// the archive has them too. A partition without offsets has none.
	HotFrom map[events.Partition]Window
}

// WindowChunks names the stored chunks of a window of a host.
type WindowChunks struct {
	Window Window
	Keys   []string
}

// WindowSeries is the stored records of a window of a host.
type WindowSeries struct {
	Window Window
	Series HostWindow
}
