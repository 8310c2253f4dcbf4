// Package subscribe is a client of GraphQL subscriptions: an operation in, one line of JSON per result out.
//
// It speaks graphql-transport-ws with a query server. A connection that breaks is made again and the operation
// subscribed to again, so that its results begin with a snapshot once more, unless the operation names a token to go on
// from. A server that cannot be reached at the start, and an operation that is refused, end it at once.
//
// It never links the server.
package subscribe
