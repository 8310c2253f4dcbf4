// Package model is etcd in memory, for tests: keys with their revisions, transactions, leases, watches and compaction, and
// everything that can go wrong between it and its clients.
//
// In: the requests that etcd's own client makes, and faults that a test orders. Out: the answers that etcd would give. It
// never decides by itself that something fails, and never answers what it does not know: that fails the test.
//
// A Client is one process as etcd sees it. It can be frozen (SIGSTOP), cut off, killed, slowed down, and its answers lost; what
// its Connect opens is a real *clientv3.Client whose key-value and lease parts are etcd's own code over the model, so that leases
// are kept alive as in production. Watches are the model's, because etcd's code for them cannot run in a testing/synctest bubble.
//
// All time is that of package time, so in a bubble hours of leases and pauses take no time. One suite (conformance_test.go) holds the
// model to what a real etcd answers.
package model
