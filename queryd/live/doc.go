// Package live keeps one in-memory view of the active generation and fans its changes out.
//
// In: one watch of the stored projections. Out: an immutable State at a known position, and many bounded
// subscribers. It never waits for a subscriber and knows no transport.
//
// What a subscriber can rely on:
//
//   - Position first, then state, then changes: between a Snapshot and the Updates behind it nothing is left
//     out. Delivery is at least once, in order, and values are absolute, so applying one again does no harm.
//   - A Token names what was delivered. Going on from it gives exactly what changed since, or a Reset with a
//     new Snapshot; never a gap and never an error.
//   - A stored change that changes no reading publishes nothing.
//   - LatestMode needs no memory per subscriber but its position: a slow reader gets fewer, newer values.
//   - EventsMode gives every change in a queue bounded by bytes; a reader that lets it fill is told at half
//     and ended with ErrSlow when it is full.
//
// How it works: the goroutine of Run folds each stored change into a new State (state.go, view.go) and
// finds what changed (entry.go, change.go). Subscribers with the same filter, mode and rate form a group
// (group.go). In LatestMode a group shares an edition of a State (edition.go), from which each reader takes
// what is newer than its own position; readers at the same position share one Message, and one encoding of
// it.
package live
