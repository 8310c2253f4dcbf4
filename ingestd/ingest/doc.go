// Package ingest is the upload server: files over HTTP in, events in the log out, and for each file a
// receipt that tells what became of every row.
//
// Files come in a form, several at a time, or as the body itself; packed with gzip, zstd or age, or not. Each
// has a receipt of its own, and a bad one costs the others nothing. A body in chunks without a length may be
// still being written: it is a live stream, and its rows are appended as they arrive.
//
// An upload that is to be processed in the background is on the disk before it is answered. Its files take the
// same way from there, in this process or the next, and its state can be asked for and followed meanwhile. A
// strict one takes the way twice, at first past the log.
//
// A file flows: socket → rows (cut at line ends) → workers (rows to records, side by side) → sequencer
// (back in file order, cut into events per host) → log (several appends under way) → receipt. Each stage
// waits for the next, so the bytes in flight are bounded by Config whatever the file's size, and a slow log
// slows the client down.
//
// Promises: 200 means that every accepted record is in etcd's quorum log. The events depend on the file's
// content alone, not on network chunks or the number of workers, so a repeated upload finds them there. A
// bad cell costs that cell and a bad row that row, with a verdict. A file that is not telemetry is refused
// before anything is appended. A file whose end did not arrive is answered as an error; what was complete
// of it stays, and sending it again adds only the rest.
//
// It never says yes before the append is durable, never holds a whole file in memory, and never knows a column's name.
package ingest
