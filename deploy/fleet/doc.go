// Package fleet simulates GPU hosts.
//
// In: a number of GPUs, a seed, times. Out: files of telemetry as an exporter's owner would have them, whose
// readings move like the readings of a training cluster: jobs come and go, load heats, heat draws power. The
// same seed makes the same history.
//
// It never uploads, and never looks at a clock.
package fleet
