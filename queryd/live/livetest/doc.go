// Package livetest gives tests stored projections in memory, with the faults of etcd on demand.
//
// In: readings of hosts, and what is to fail. Out: what live.Hub reads of a store. It is never linked into
// a daemon.
package livetest
