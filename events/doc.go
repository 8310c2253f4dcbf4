// Package events is the log of the system, and its vocabulary.
//
// In: events to append; a position to start from. Out: events in log order, each with its revision. It
// never knows what an event means to a model.
//
// # Records and events
//
// A record is one reading: an entity, a metric, a time, and a number or the reason for having none. An
// Event is an immutable batch of records of one host. What it says of them is what their source said:
// decimal numbers exactly (Number), absent readings with their reason and text (Value), names both as they
// came and as they are called here (Column), identities with every further label (Identity).
//
// The records of an event are a set with one form (Event.Check): equal sets are equal field by field.
// Adding sets (Union) does not depend on order, batching or repeats, and all that is folded from events
// rests on that.
//
// # The promise
//
// Order: the log is ordered by Revision. A Revision is a position and nothing else; when something happened
// is told by the records' times, which may be years old and come in any order. Events of one partition come
// in order of revision, those of one revision in order of key, which is order of first record time.
//
// Durability: when Append returns without an error, every event is in etcd's quorum log. After an error some
// may be; appending them again does no harm.
//
// Sameness: an upload is cut into events by its content alone (Cutter), and an event's key ends in a hash
// over its records as the source gave them (Sequence). So the same file gives the same events, and the log
// keeps an event once. A later version that stores events otherwise, or knows more names, still finds them
// the same.
//
// Slowness: Read goes at its reader's pace, in bounded pages. Watch holds a bounded queue for its reader; one
// that falls behind gets ErrOverflow and reads on from the last position. Nothing is lost, no writer waits.
//
// Damage: an event that cannot be used (undecodable, overwritten, of an unknown encoding) is given with its
// Damage, in its place. It does not stop the log.
//
// # Bytes
//
// Only key.go knows the bytes of an event's key. Only the Codec's files know those of its value:
// compact.go, compact_decode.go, samples_codec.go and reader.go for the compact encoding, json.go,
// json_decode.go, json_fields.go and json_row.go for JSON, aside.go for what a foreign producer wrote and nobody can
// use, encoding.go for the tag that tells them apart.
package events
