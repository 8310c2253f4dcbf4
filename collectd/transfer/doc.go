// Package carry carries events out of a cluster and into one: the commands export and import of collectd.
//
// In: the archive and the log up to one position, and a filter; or lines that were exported. Out: a line of JSON per
// event, or rows of CSV; or the same events in a log, those it has already left as they are. It never changes
// anything where it exports from, and an event that it imports has the key it had.
//
// # Lines
//
// A line is a JSON object (type line): the event's key below the root, and its rows as events.EncodeJSON writes them (or
// its stored form, where rows cannot say what it says). Importing it makes the very same event: its sequence is part
// of it. Append time and, across clusters, revision are not: they are of the log that has the event.
//
// An event that a filter takes only in part is exported as an event of that part, with a sequence of its own.
//
// # CSV
//
// Rows are of the DCGM long form, in the order of the log. An upload of them gives the same records, but not the same
// events: a sequence is a hash over the source's texts in the order of the source's rows, and the log keeps the meaning
// of the texts (87.0 is 87) and their set. Of one upload's rows the cut into events stays the same as long as each row
// had given a record.
package transfer
