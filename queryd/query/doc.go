// Package query is the one HTTP server of queryd.
//
// In: the stored projections and the surfaces that answer from them (rest, graph, socket). Out: one listener with all
// of them, kept current by one watch. The package itself answers only questions about the state of the process.
//
//	snapshot.Store ──► live.Hub ──► rest    GET  /api/v1/…, /openapi.*, /docs
//	             └──► history ───┬► graph   GET, POST /graphql
//	                             └► socket  WebSocket on /ws and /graphql
//
// A Server serves one cluster. A Gateway serves several, each with such services of its own (cell.go), and merges their answers in the
// surfaces.
//
// A stop goes in the direction of the data: the listener closes, subscribers receive the position to resume from and
// are closed, pending requests are answered, and the hub ends last.
package query
