// Package collect folds the log into projections.
//
// In: the log of the partitions that this collector owns. Out: snapshots of hosts and chunks of their history, each
// saved under the guard of a claim. It never serves users and never writes without a guard.
//
// A follower works on one partition for as long as its claim lives. It loads the stored state, reads the log from
// there to near the head, then watches. Three goroutines share its state: one folds arriving events, one folds
// quarantined events again on request, and one commits due changes, so that folding continues during a commit.
// Offsets are written last, and models are sets: after any cut — a crash, a lost answer, a lost claim — the next
// owner reads again the events beyond the offsets, and folding them again changes nothing.
//
// An event that cannot be decoded, or whose fold panics, costs that event alone. Its entry in the quarantine is in
// the commit that lets an offset pass it, so no offset passes an event that is neither folded nor quarantined. The
// commit that stores its fold, or a later one, removes the entry.
package collect
