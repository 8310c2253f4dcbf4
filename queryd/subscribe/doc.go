// Package subscribe is a client of GraphQL subscriptions: an operation in, one line of JSON per result out.
//
// It speaks graphql-transport-ws with a query server. After a broken connection it reconnects and subscribes to the
// operation again, so that its results begin with a snapshot once more, unless the operation names a token to resume
// from. It returns at once if the server cannot be reached at the start, and if the server refuses the operation.
//
// A token goes into the connection's first message, never into the URL, a header or the subprotocol, and is read again for each
// connection.
//
// It never links the server.
package subscribe
