// Package join makes hosts that are really parts of a node, the pods of an exporter, one with it: the command join of
// collectd.
//
// In: names of hosts, the name of their node, and the archive and the log as one. Out: events of the node with the records
// of the hosts' events, and for each host an event that says that it is joined (events.HostJoined), by which the fold takes
// the host out of the views. It never changes or removes an event.
//
// # Once
//
// The key of a joined event depends on the event and the two hosts alone, so the log keeps it once. Events of the node that
// are in the archive are found there by their sequence. So a join that was interrupted is run again, and adds the rest;
// run again after it has ended, it adds the events that came since, or nothing.
//
// # Order
//
// A host's records are in the node's views before the event is appended that takes them out of the host's. Events of the
// host that came in between are joined after that event.
//
// # Bounds
//
// It keeps one batch of events and the sequences of some events in memory, of any number. It appends a batch when
// the one before is folded and etcd has room.
package join
