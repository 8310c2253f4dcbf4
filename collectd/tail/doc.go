// Package tail shows the log as it grows: the command tail of collectd.
//
// In: the log, from a place on, and a filter. Out: a line per record or per event. What was there when it began comes in
// the order of the log; from then on events come as they arrive, those of one partition in their order. Every event is
// shown once, whatever becomes of etcd meanwhile. It never writes to etcd, and what it forgets when it ends is
// nobody's loss.
package tail
