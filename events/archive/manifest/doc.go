// Package manifest keeps the index of the archive in etcd: which objects count, and up to which revision the log is archived.
//
// In: entries of objects that are stored and read back, guards of the owner that writes them. Out: the entries of a
// partition, for readers and for the owner; a reader of the archive and the log as one (Reader). It never writes or
// removes an object, and never decides which events may be deleted.
//
// # The promise
//
// Complete: the entries hold all events of a partition after Head.Since and up to its head (Head.At), each revision in one
// entry. Head and entries change together, in one transaction that carries the owner's guards and compares the keys it
// replaces: a late or repeated attempt changes nothing, an owner that lost its claim writes nothing.
//
// Nothing lost on the way: an entry is written after its objects were read back, and an event is deleted after its entry
// was written. So a reader that reads events up to the head from the archive and the rest from the log, and reads the head
// again afterwards, misses nothing (Reader).
//
// Positions are etcd's revisions. A cluster that was restored from a snapshot continues with greater revisions and with the
// snapshot's manifest: its earlier entries stay valid, though their revisions carry another epoch.
package manifest
