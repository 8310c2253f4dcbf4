// Package spool keeps the bodies of uploads on disk until they have been processed.
//
// In: the bytes of files as they arrive, and the parameters sent with them. Out: the same files, as often as needed,
// after a crash too.
//
// Each upload is a directory, upload-{id}, with its files and a manifest. It is made under another name and renamed
// only when all of it is on the disk, so an upload is there whole or not at all; incomplete uploads after a crash are
// removed when the spool is opened next. Scratch files have no name and end with the process.
//
// A spool belongs to one process at a time, by a lock on its directory. Its bytes and the number of its uploads are
// bounded. It never looks into a file, and never removes anything that it has not made.
package spool
