// Package caller is the client's side of access: the server's address and the settings of a person or job in, an HTTP
// client or a TLS configuration and a token for other protocols out. It decides nothing about access, and knows no route.
//
// A bearer token comes from a file, which is read again for each request so that a renewed token is used, or from an
// environment variable, never from a command line. It promises that the token
//
//   - is sent to the scheme, host and port of the configured server only; a redirect elsewhere is an error
//   - is not sent over plain HTTP, except to this machine
//   - is in no error text
//
// A client certificate is read again for each handshake.
package caller
