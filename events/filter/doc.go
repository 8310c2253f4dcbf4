// Package filter picks records out of events, as people name them.
//
// In: patterns for hosts, GPUs and metrics, or their exact names. Out: which partitions, hosts, events and records match. It
// never changes an event and reads none by itself.
package filter
