// Chaos breaks a whole pipeline on purpose and finds out whether it kept its promises.
//
// In: a seed and a duration. Out: a report that says for each promise whether it held, and exit code 1 when one did not. It
// never looks inside a process: it knows only the files that it has uploaded, and the things that it has read by HTTP and WebSocket, or has seen in etcd and on
// the connections to it.
//
// A run has five parts. It builds and starts the real programs: three members of etcd, two ingestd, three collectd, two queryd
// (cluster.go, process.go), each daemon reaching each member through a proxy of its own (proxy.go). Listeners have TLS and
// ask for tokens, etcd has TLS, and users by certificate (secrets.go, authority.go). A workload runs
// throughout: uploads (workload.go, uploads.go), subscribers (subscribers.go), readers (readers.go), callers without a right (strangers.go),
// and an observer that watches every key (observer.go). A schedule made of the seed (schedule.go) injects faults (faults.go), while a
// rolling upgrade exchanges every daemon of the previous release (release.go) for the present one, back, and forward again, and restarts the
// members of etcd (upgrade_plan.go, upgrade.go). A standalone's data directory goes through the same beside it (directory.go). Then
// everything heals and comes to rest (quiesce.go). At last all observations are checked (check_*.go, which are pure) and reported
// (report.go).
//
// The same seed makes the same schedule and the same files in the same order; how the processes interleave is up to the machine, so a
// seed that failed is likely, not certain, to fail again.
package main
