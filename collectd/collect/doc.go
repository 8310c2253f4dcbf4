// Package collect folds the log into projections.
//
// In: the log of the partitions that this collector owns. Out: snapshots of hosts and chunks of their
// history, each saved under the guard of a claim. It never serves users and never writes without a
// guard.
//
// A follower works on one partition for as long as its claim lives. It loads what is stored, reads the
// log from there to near the head, then watches. Two goroutines share its state: one folds what arrives,
// the other commits what is due, so that folding goes on while a commit is under way. Offsets are
// written last, and models are sets: after any cut — a crash, a lost answer, a lost claim — the next
// owner reads again what the offsets do not cover, and folding it again changes nothing.
package collect
