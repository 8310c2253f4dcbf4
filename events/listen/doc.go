// Package listen opens the listeners of the servers, with and without TLS: a host, a port and files in, a net.Listener
// out. It serves nothing, and works for every server that takes a net.Listener.
//
// # Addresses
//
// Open binds this machine's loopback addresses unless a host is set, so that a server nobody configured cannot be reached
// from the network. IsLoopback reports the same of a host, for the rules of access.
//
// # TLS
//
// TLS serves a certificate from files. While Run runs, it reads the files every 2 seconds and serves a changed certificate
// from the next handshake on; connections that are open keep theirs. Certificate, key and client CA are exchanged
// together. As long as they cannot be read or do not match, the old ones are served, a warning is logged once per
// failure, and a counter grows.
//
// A connection shakes hands at its first use: in the goroutine that serves it, never in Accept, so that a slow client
// holds up nobody. It has 10 seconds. A client that speaks plain HTTP is answered in plain HTTP that the port speaks HTTPS.
//
// A client certificate is optional and verified if a client CA is set: a certificate of another CA fails the handshake.
// net/http has it in Request.TLS, fasthttp in RequestCtx.TLSConnectionState. Sessions are not resumed then, so that a CA
// that was taken away is refused at once to new connections.
package listen
