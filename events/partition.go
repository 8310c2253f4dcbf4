package events

// Partition is a fixed share of the log.
type Partition int

// PartitionOf tells the partition of a host's events, of count in all. The hash is a fact of the log
// (Facts.PartitionHash) and never changes for one.
func PartitionOf(host HostID, count int) Partition { panic("contract") }

// Facts are fixed when a cluster's log is first used, in config/{cluster-id}. A process whose own settings disagree refuses to
// start.
type Facts struct {
	Epoch         Epoch
	Cluster       uint64 // etcd's cluster id
	Partitions    int    // default 64
	PartitionHash string // "xxh3"
	Cut           CutRules
}

// CutRules say where an upload is cut into events; the cut must depend on the content alone, so they
// are facts and not settings.
type CutRules struct {
	EventRecords int // rows of one host, default 2,000
	EventBytes   int // bytes of source text of one host's rows, default 1 MiB
	OpenRecords  int // records open over all hosts, default 100,000
}
