// Package live keeps one in-memory view of the active generation and fans its changes out.
//
// In: one watch of the stored projections. Out: an immutable State at a known position, and many bounded subscribers.
// It never waits for a subscriber and knows no transport.
//
// Guarantees for a subscriber:
//
//   - Position first, then state, then changes: no change is left out between a Snapshot and the Updates behind it.
//     Delivery is at least once, in order, and values are absolute, so applying one again does no harm.
//   - A Token names the position of a delivered message. Resuming from it returns exactly the changes since, or a
//     Reset with a new Snapshot; never a gap and never an error.
//   - A stored change that changes no reading publishes nothing.
//   - LatestMode needs no memory per subscriber but its position: a slow reader receives fewer, newer values.
//   - EventsMode delivers every change through a queue bounded by bytes. The reader receives a Lag when the queue is
//     half full, and ErrSlow when it is full.
//
// A principal with a limited scope is served by the feed of its scope (Hub.In), in which only the hosts of the scope exist:
// counts, totals, names, conflicts and changes are as in a fleet of these hosts. A scope by namespace
// has the GPUs that workloads of its namespaces use now (projections.Host.InNamespaces). Every feed is fed by the one watch.
//
// How it works: the goroutine of Run folds each stored change into a new State (state.go, view.go) and computes the
// difference (entry.go, change.go). Subscribers with the same filter, mode and rate form a group (group.go). In
// LatestMode a group shares a groupSnapshot of a State (groupsnapshot.go), from which each reader takes the values
// newer than its own position. Readers at the same position share one Message, and one encoding of it.
package live
