// Package upload is the client of the upload server: it sends local files over HTTP, with progress and retries, and
// reports the result of each file.
//
// A retry cannot store anything twice: the server cuts a file into events by its content alone and stores each event
// once, so the next attempt finds the events of a failed one. Every temporary failure (no connection, 429, 503 and
// the like) is retried, no earlier than the server asks; every other failure is final and reported at once.
//
// It never links the server, never changes a file, and never holds a whole one in memory.
package upload
