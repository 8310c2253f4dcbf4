// Package tail shows the log as it grows: the command tail of collectd.
//
// In: the log, from a position on, and a filter. Out: a line per record or per event. Events that were stored at the
// start come in the order of the log; from then on events come as they arrive, in order within a partition.
// Every event is shown once, however often etcd fails meanwhile. It never writes to etcd, and keeps no state when it
// ends.
package tail
