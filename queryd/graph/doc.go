// Package graph executes GraphQL documents against the current view and the history.
//
// In: GraphQL documents. Out: results, as JSON. It never opens a listener, and never exposes a type of its library,
// graphql-go.
//
// Every document passes a guard first. The library's validation can be driven into a stack overflow, which no recover
// catches, by fragments that spread each other (graphql-go issue 742) and by deep nesting, and its cost grows
// quadratically with nesting and repeated fields. So a document is bounded in bytes, tokens and nesting before it is
// parsed, and in fragments, depth, selections and cost before it is validated.
//
// The library executes documents. Lists of objects are the exception: it takes microseconds for each field of each of them, so
// they are written here, by a plan of their selections. A list that a plan cannot write without an error is left to the
// library.
package graph
