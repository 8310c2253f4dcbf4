// Package filter selects records of events by names that people use.
//
// In: patterns for hosts, GPUs and metrics, or their exact names. Out: the partitions, hosts, events and records that
// match. It never changes an event and reads none by itself.
package filter
