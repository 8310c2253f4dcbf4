// Package watch ships the lines appended to the log files of a directory to the upload server.
//
// In: a directory. Out: uploads, each with a file's header and the complete lines appended since the last one.
// Progress is written to disk after the server has confirmed an upload, so a crash in between ships lines again,
// which stores nothing twice. A file renamed by log rotation is followed under its new name; a file that was
// truncated and rewritten is read from its beginning. Refused content stays in its file, is reported, and is retried
// once a minute, while the other files continue.
//
// It never changes the files, never ships half a row, and never holds more than a shipment in memory.
package watch
