package events

import (
	"errors"
	"fmt"
)

// The errors of reading the log. Readers distinguish them with errors.Is.
var (
	// ErrCompacted ends a watch whose start the log's store no longer has; reading from the last position still works.
	ErrCompacted = errors.New("watching the log: revision compacted; read on from the last position")
	// ErrOverflow ends a watch whose reader fell behind its bounded queue.
	ErrOverflow = errors.New("watching the log: reader too slow; read on from the last position")
	// ErrForeign refuses a position of another log.
	ErrForeign = errors.New("position is of another log (epoch or etcd cluster differ); start from the beginning")
	// ErrSilent ends a watch that the log's store has stopped answering. There may be new events; reading from the
	// last position shows them.
	ErrSilent = errors.New("watching the log: no sign of life from etcd; read on from the last position")
	// ErrOverwritten is the damage of an event whose key was written a second time, which an append never does.
	ErrOverwritten = errors.New("the event's key was written again after it was created; its content cannot be trusted")
)

// DamageError is the Damage of an event of the log together with its stored value, for a caller that moves or repairs
// the event.
type DamageError struct {
	Value []byte
	Cause error
}

func (e *DamageError) Error() string { return e.Cause.Error() }

func (e *DamageError) Unwrap() error { return e.Cause }

// UnknownEncodingError refuses a value whose first byte is no known encoding: a later version wrote it, or it is no event.
type UnknownEncodingError struct{ Tag byte }

func (e *UnknownEncodingError) Error() string {
	return fmt.Sprintf("decoding event: encoding %#02x is unknown here; it is of a newer version or no event", e.Tag)
}
