// Package intake reads the files of an upload from a request's body, within bounds.
//
// In come a connection's bytes and the header that describes them; out come Files, one after another, each counted,
// hashed and, if it was packed, unpacked as it is read. Bounds are on bytes, on the time that a sender may be silent,
// on its rate and on unpacked bytes. A read can be stopped from another goroutine, with the cause as its error.
//
// It never holds a file in memory, never looks at rows, and knows no HTTP server.
package intake
