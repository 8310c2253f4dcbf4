// Package spool keeps the bodies of uploads on disk until they have been processed.
//
// In: the bytes of files as they arrive, and what was said with them. Out: the same files, as often as they
// are wanted, after a crash too.
//
// Each upload is a directory, upload-{id}, with its files and a manifest. It is made under another name and
// gets its own only when all of it is on the disk, so an upload is there whole or not at all; what a crash
// left half made is removed when the spool is opened next. Scratch files have no name and end with the
// process.
//
// A spool belongs to one process at a time, by a lock on its directory. Its bytes and the number of its
// uploads are bounded. It never looks into a file, and never removes anything that it has not made.
package spool
