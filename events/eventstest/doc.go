// Package eventstest supports tests of the log and its users: an embedded etcd (Main, Config, Etcd, NewServer), a log in
// memory with the faults of a real one (NewLog), and the suite that both kinds of log pass (Run).
//
// In: a test. Out: a log or an etcd of its own, removed when the test ends. No daemon links it.
//
// The log in memory uses no sockets and no timers, so it works in a testing/synctest bubble; an embedded
// etcd does not.
package eventstest
