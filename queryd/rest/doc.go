// Package rest answers HTTP requests under /api/v1 with JSON.
//
// In: requests. Out: JSON from the current view, from history and from the log, and the description of the API
// (OpenAPI 3.1, with a page to read it). It never talks to etcd, never changes a model, and never sends a reading
// through a float: a number is written as it was stored. All requests are GET, except the one that asks the
// collectors to fold quarantined events again.
//
// An answer is {"success":true,"data":…,"count":N}, an error {"success":false,"error":"…","code":"…"} with the
// matching status. A parameter that is unknown or invalid is refused by name: ignoring it would silently widen the
// query.
package rest
