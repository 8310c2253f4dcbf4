// Package livetest provides stored projections in memory for tests, with the faults of etcd on demand.
//
// In: readings of hosts, and the faults. Out: the part of a store that live.Hub reads. It is never linked into a
// daemon.
package livetest
