// Package bounds refuses records that would make the fleet grow without an end: ever new hosts, GPUs, parts of GPUs,
// values of their fields, names of metrics, or labels.
//
// In come the records of a file, in file order; out comes, for each, the reason to refuse it, or none. A Ledger belongs to
// a process and remembers the hosts, GPUs and names that its uploads brought, and reads a host's stored
// models when the host brings many; a File belongs to one file and checks its records against both.
//
// Promises: a refused record is not counted, nor is a file that fails or a dry run. A file is counted when it is
// closed; until then its new names count for others too. The memory is bounded: beyond a million and a half names the
// hosts that were not sent for longest are forgotten, and a name that was not sent for 30 days makes room for another. So no
// record is refused that fits the bounds and its sender's shares, and a few beyond them may pass after a start, after the host was forgotten, and
// where several servers accept a host's records (see Ledger).
//
// One sender may bring a share of the hosts, metrics and names of labels in all, and three quarters of the GPUs and metrics of a
// host and of the values and parts of a GPU. Names from stored models count for no sender.
//
// It never compares the time of a record with the clock, and knows neither the text of files nor the log.
package bounds
