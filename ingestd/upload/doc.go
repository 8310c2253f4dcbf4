// Package upload is the client of the upload server: files on a person's machine in, uploads over HTTP out,
// with progress, retries and an account of what became of each file.
//
// A retry cannot double anything: the server cuts a file into events by its content alone and keeps an
// event once, so what arrived of a failed attempt is found again by the next. Everything that time can mend
// (no connection, 429, 503 and the like) is tried again, as late as the server says it should be; everything
// else is final and told at once.
//
// It never links the server, never changes a file, and never holds a whole one in memory.
package upload
