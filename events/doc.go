// Package events is the vocabulary of the system: records, events and positions, and the bytes of their stored forms.
//
// In: rows of a source, stored values. Out: events cut from the rows, values to store, the events of stored values. It
// does no I/O and links no store (package eventlog appends and reads events), and it does not interpret events for a
// model.
//
// # Records and events
//
// A record is one reading: an entity, a metric, a time, and a number or the reason for its absence. An
// Event is an immutable batch of records of one host. It preserves the source's data: decimal numbers exactly (Number),
// absent readings with their reason and text (Value), source names beside canonical names (Column), identities with
// all further labels (Identity).
//
// The records of an event are a set in canonical form (Event.Check): equal sets are equal field by field.
// The union of sets (Union) does not depend on order, batching or repeats, and every fold relies on that.
//
// # Identity of events
//
// An upload is cut into events by its content alone (Cutter), and an event's key ends in a hash
// over its records as they came from the source (Sequence). So the same file makes the same events, and the log
// keeps an event once. A later version that stores events differently, or knows more names, still computes the same
// keys.
//
// # Bytes
//
// Only key.go knows the bytes of an event's key. Only the Codec's files know the bytes of its value:
// compact.go, compact_decode.go, samples_codec.go and reader.go for the compact encoding, json.go,
// json_decode.go, json_fields.go and json_row.go for JSON, deadletter.go for unusable values of foreign producers,
// encoding.go for the tag that distinguishes them.
package events
