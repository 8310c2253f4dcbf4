// Package backup saves snapshots of etcd to a directory: the command snapshot of collectd.
//
// In: an etcd, as a user that may everything. Out: a file per snapshot, whole and checked, and as many older ones as are kept.
// It never restores one: etcd's own tool does, by docs/runbooks/backup.md.
package backup
