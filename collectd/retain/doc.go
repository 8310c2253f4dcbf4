// Package retain decides which events and chunks stay in etcd and which leave it for the archive.
//
// In: a partition that is folded here in the active generation, under the guard of its claim. Out: archive objects
// and their entries in the manifest; fewer events and chunks of history in etcd. It never removes an event that the
// active generation has not folded, nor, where there is an archive, one that is not in the manifest; and never
// anything by range, by a lease, or without the guard.
//
// # The order of steps
//
// An object is written and read back; then, in one transaction, its entry is listed and the head moves; then the
// events up to the head may leave the log, key by key; and so may chunks that were written up to the head, since they
// hold records of such events alone. A crash between any two steps leaves at most an object that no entry lists
// (Check reports it), or something that is removed later.
//
// Consecutive entries are merged in the background. Objects that a merge replaced stay for a grace, noted in the
// manifest, so that readers finish; and chunks stay for a grace after the manifest and Offsets.HotFrom directed
// readers to the archive.
//
// # Retention times
//
// With an archive, events stay in etcd for the hot window after they were appended, and chunks until the hot window
// after their hour; both leave earlier when etcd is fuller than its share. Without an archive, both stay for
// RETENTION_DAYS after the append, whichever times their records have, and are then removed for good.
package retain
