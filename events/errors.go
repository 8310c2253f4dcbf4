package events

import (
	"errors"
	"fmt"
)

var (
	// ErrCompacted ends a Watch whose start etcd no longer has; Read has it still.
	ErrCompacted = errors.New("watching the log: revision compacted; read on from the last position")
	// ErrOverflow ends a Watch whose reader fell behind its bounded queue.
	ErrOverflow = errors.New("watching the log: reader too slow; read on from the last position")
	// ErrForeign refuses a position of another log.
	ErrForeign = errors.New("position is of another log (epoch or etcd cluster differ); start from the beginning")
	// ErrSilent ends a Watch that etcd has stopped answering. The events may be there; Read from the last
	// position tells.
	ErrSilent = errors.New("watching the log: no sign of life from etcd; read on from the last position")
	// ErrNoSpace refuses an Append: etcd's alarm is raised and it takes no more writes. Some of the events
	// may have been taken; append them again when there is space.
	ErrNoSpace = errors.New("etcd is out of space (NOSPACE): compact and defragment every member, then disarm the alarm " +
		"(etcdctl alarm disarm), or raise --quota-backend-bytes; until then nothing can be appended")
	// ErrOverwritten is the damage of an event whose key was written a second time, by something other than
	// Append.
	ErrOverwritten = errors.New("the event's key was written again after it was created; its content cannot be trusted")

	// errNoFacts: the log's facts were deleted from under a running process.
	errNoFacts = errors.New("the facts of the log are gone from etcd; restart when they are restored")
	// errClosed ends a Watch whose Log was closed.
	errClosed = errors.New("watching the log: it was closed")
)

// DamageError is the Damage of an event of the log together with its value as it is stored, for whoever
// moves the event elsewhere or mends it.
type DamageError struct {
	Value []byte
	Cause error
}

func (e *DamageError) Error() string { return e.Cause.Error() }

func (e *DamageError) Unwrap() error { return e.Cause }

// TooLargeError refuses an event that does not fit into one request to etcd. Its upload has to be cut
// finer, which is a fact of the log (Facts.Cut).
type TooLargeError struct {
	Host  HostID
	Key   string
	Bytes int // of the encoded event and its key
	Limit int // what a request takes; 0 when etcd refused it by a limit of its own
}

func (e *TooLargeError) Error() string {
	limit := "what this etcd takes in one request; raise its --max-request-bytes (default 1.5 MiB)"
	if e.Limit > 0 {
		limit = fmt.Sprintf("the %d that fit into one request to etcd; cut uploads into smaller events", e.Limit)
	}
	return fmt.Sprintf("appending event %s of host %q: its %d bytes are more than %s", e.Key, e.Host, e.Bytes, limit)
}

// FactsError refuses to open a log with settings that contradict its facts.
type FactsError struct {
	Key     string // where the facts are
	Fact    string // which of them
	Log     string // what the log has
	Setting string // what this process is set to
}

func (e *FactsError) Error() string {
	return fmt.Sprintf("this process is set to %s %s, but the log was created with %s (in %s, fixed at first use): "+
		"start it with %s, or without that setting, or give it another cluster id for a log of its own",
		e.Fact, e.Setting, e.Log, e.Key, e.Log)
}

// UnknownEncodingError refuses an event that a later version wrote, or something that is no event.
type UnknownEncodingError struct{ Tag byte }

func (e *UnknownEncodingError) Error() string {
	return fmt.Sprintf("decoding event: encoding %#02x is unknown here; it is of a newer version or no event", e.Tag)
}
