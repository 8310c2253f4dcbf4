// Package subscribe is a client of GraphQL subscriptions: an operation in, one line of JSON per result out.
//
// It speaks graphql-transport-ws with a query server. After a broken connection it reconnects and subscribes to the
// operation again, so that its results begin with a snapshot once more, unless the operation names a token to resume
// from. It returns at once if the server cannot be reached at the start, and if the server refuses the operation.
//
// It never links the server.
package subscribe
