// Package manifest keeps in etcd what the archive has: which objects count, and up to where the log is archived.
//
// In: entries of objects that are stored and read back, guards of the owner who writes them. Out: the entries of a
// partition, for readers and for the owner; a reader of the archive and the log as one (Reader). It never writes or
// removes an object, and never decides what may be deleted.
//
// # The promise
//
// Complete: all that the log has had of a partition up to its head (Head.At), and after Head.Since, is in the entries,
// each revision in one of them. Head and entries change together, in one transaction that carries the owner's guards and
// compares what it replaces: a late or repeated attempt changes nothing, an owner that lost its claim writes nothing.
//
// Nothing lost on the way: an entry is written after its objects were read back, and an event is deleted after its entry
// was written. So whoever takes what is up to the head from the archive and the rest from the log, and looks at the head
// again after reading, misses nothing (Reader).
//
// Positions are etcd's revisions. A cluster that was restored from a snapshot goes on with revisions that are greater, and
// with what the snapshot has of the manifest: its earlier entries stay, though their revisions tell another epoch.
package manifest
