// Package snapshot keeps projections in etcd.
//
// In: a host's models, the position they reflect, guards. Out: the same later, and changes to follow. It never folds,
// and never lets two partitions write one key.
//
// Every key belongs to one host, so to one partition and one owner. All writes are puts of whole values and carry the
// owner's guards, so an owner that has lost its claim can write nothing at all. An unclear answer is simply retried:
// the transactions of a partition form a chain (fence.go), and no attempt is applied after a later transaction.
// Offsets are in the last transaction of the models they cover, so a commit that is cut off in the middle is folded
// again. Models are sets, so folding twice does not change them.
//
// A reader loads a generation at one position and follows it from there. Between the two is no gap and no overlap,
// because the load reads exactly that revision; etcd's compaction only makes either start again.
package snapshot
