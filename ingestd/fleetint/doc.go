// Package fleetint reads the files that the agent of NVIDIA Fleet Intelligence writes offline: its metrics, its
// events and the health of its components, a file of each.
//
// In come a header and rows. Out goes a record per row, or a rejection. An XID event is a record of the metric that
// DCGM has for it, with the code in the message. Any other event and each state of health is a record of a metric
// named after it, with all its text as labels; where the text names a GPU the record belongs to that GPU, else to the
// host itself.
//
// The files name no host, so the sender supplies it. It never invents a time: a row without one is rejected.
package fleetint
