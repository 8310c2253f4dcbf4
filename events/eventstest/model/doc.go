// Package model is etcd in memory, for tests: keys with their revisions, transactions, leases, watches and compaction, and
// the faults that can happen between it and its clients.
//
// In: the requests that etcd's own client makes, and faults that a test injects. Out: the answers that etcd would return. It
// never injects a fault by itself, and never answers a request that it does not implement: such a request fails the test.
//
// A Client is one process as etcd sees it. It can be frozen (SIGSTOP), cut off, killed, slowed down, and its answers lost. Its
// Connect returns a real *clientv3.Client whose key-value and lease parts are etcd's own code over the model, so that leases
// are kept alive as in production. Watches are the model's, because etcd's code for them cannot run in a testing/synctest bubble.
//
// All timing uses package time, so in a bubble hours of leases and pauses take no time. One suite (conformance_test.go) compares
// the model's answers with the answers of a real etcd.
package model
