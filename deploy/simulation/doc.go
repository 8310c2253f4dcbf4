// Package simulation breaks the pipeline thousands of times a minute and checks its promises. It holds tests only.
//
// In: a seed. Out: nothing, or a broken promise with the schedule that led to it. It never leaves the process: the real log,
// ownership, collectors, stored projections and live views run in a testing/synctest bubble on a model of etcd
// (events/eventstest/model), where time is virtual and everything can be frozen, cut off, killed and sent things late or twice.
//
// A seed decides the faults, their targets and times, so a failure replays by
//
//	go test ./deploy/simulation -run TestSchedules -seed N -schedules 1
//
// It does not decide which of two goroutines of one instant runs first, and the jitter of pauses between tries: a failure
// that hangs on those may need a few runs (-count) to come back.
package simulation
