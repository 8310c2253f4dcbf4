// Package rebase moves a log to another epoch after etcd was restored from a snapshot: the command restored of
// collectd.
//
// In: an etcd that was restored, and that no daemon writes to yet. Out: a log with another epoch, so that every
// position issued before is known to be of another log; offsets of the new epoch, so that events folded in the
// snapshot need not be folded again; lines with the remaining steps. It never restores anything itself: etcd's own
// tool does.
package rebase
