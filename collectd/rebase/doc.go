// Package restored makes a log go on after etcd was restored from a snapshot: the command restored of collectd.
//
// In: an etcd that was restored, and that no daemon writes to yet. Out: a log with another epoch, so that every position
// that anybody was told before is known to be of another log; offsets of the new epoch, so that what the snapshot has
// folded need not be folded again; lines that tell what else is to be done. It never restores anything itself: etcd's own
// tool does.
package rebase
