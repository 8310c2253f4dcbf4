// Package eventlog is the event log of one cluster in etcd.
//
// In: events to append; a position to start from. Out: events in log order, each with its revision. It knows nothing
// of models, files or HTTP.
//
// # The promise
//
// Order: the log is ordered by Revision. A Revision is a position and nothing else; the records' times are when
// something happened, and they may be years old and come in any order. Events of one partition come in order of
// revision, events of one revision in order of key, which is the order of their first record times.
//
// Durability: when Append returns without an error, every event is in etcd's quorum log. After an error some may be;
// appending them again does no harm.
//
// Slowness: Read follows its reader's speed, in bounded pages. Watch holds a bounded queue for its reader; a reader
// that falls behind gets ErrOverflow and reads on from the last position. Nothing is lost, and no writer waits.
//
// Damage: an unusable event (undecodable, overwritten, of an unknown encoding) is returned with its Damage, in its
// place. It does not stop the log.
//
// Retention: an event leaves the log only by Remove, under the guards of its partition's owner.
package eventlog
