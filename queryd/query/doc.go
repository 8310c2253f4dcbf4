// Package query is the one HTTP server of queryd.
//
// In: the stored projections and the surfaces that answer from them (rest, graph, socket). Out: one
// listener with all of them, kept current by one watch. It never answers a question itself, but for how the
// process is.
//
//	snapshot.Store ──► live.Hub ──► rest    GET  /api/v1/…, /openapi.*, /docs
//	             └──► history ───┬► graph   GET, POST /graphql
//	                             └► socket  WebSocket on /ws and /graphql
//
// A stop goes with the data: no new connections, subscribers are told where to resume and closed, requests
// under way are answered, and the hub ends last.
package query
