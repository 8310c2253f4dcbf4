// Package fleetint reads what the agent of NVIDIA Fleet Intelligence writes offline: its metrics, its events
// and the health of its components, a file of each.
//
// In come a header and rows. Out goes a record per row, or a rejection. An XID event is a record of the
// metric that DCGM has for it, with the code that the message names. Any other event and each state of
// health is a record of a metric named after it, with all its text as labels; where the text names a GPU it
// is of that GPU, else of the host itself.
//
// The files name no host, so the sender gives it. It never invents a time: a row that has none is rejected.
package fleetint
