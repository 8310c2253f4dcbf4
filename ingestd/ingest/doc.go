// Package ingest is the upload server: files over HTTP in, events in the log out, and for each file a receipt that
// accounts for every row.
//
// In come requests and a Config; out go answers. The server decides which uploads come in (slots, client rates,
// admission) and passes them on: ingestd/intake reads a body as files, ingestd/pipeline turns a file's rows into
// appended events, ingestd/jobs does the same later for uploads in the background, ingestd/answer holds the receipts
// and refusals for senders.
//
// Files come in a form, several at a time, or as the body itself; packed with gzip, zstd or age, or not. Each has a
// receipt of its own, and a bad one costs the others nothing. A body in chunks without a length may be still being
// written: it is a live stream, and its rows are appended as they arrive.
//
// Promises: 200 means that every accepted record is in etcd's quorum log. A file that is not telemetry is refused
// before anything is appended. A file whose end did not arrive is answered as an error; the complete part of it
// stays, and sending it again adds only the rest.
//
// It never answers success before the append is durable, and never reads a row itself. It alone knows HTTP.
package ingest
