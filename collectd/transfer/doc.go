// Package transfer exports events of a cluster and imports them into one: the commands export and import of collectd.
//
// In: the archive and the log up to one position, and a filter; or lines that were exported. Out: a line of JSON per
// event, or rows of CSV; or the same events in a log, where existing events stay as they are. It never changes
// anything where it exports from, and an imported event has the key it had.
//
// # Lines
//
// A line is a JSON object (type line): the event's key below the root, and its rows as events.EncodeJSON writes them
// (or its stored form, where rows cannot express it). Importing it makes the very same event: its content hash is
// part of it. Append time and, across clusters, revision are not: they are of the log that has the event.
//
// An event that matches a filter only in part is exported as an event of that part, with a content hash of its own.
//
// # CSV
//
// Rows are of the DCGM long form, in the order of the log. An upload of them makes the same records, but not the same
// events: a content hash covers the source's texts in the order of the source's rows, and the log keeps the meaning
// of the texts (87.0 is 87) and their set. The rows of one upload are cut into the same events as long as each row
// had a record.
package transfer
