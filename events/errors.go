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
	// ErrSilent ends a Watch that etcd has stopped answering. The events may be there; Read from the last position tells.
	ErrSilent = errors.New("watching the log: no sign of life from etcd; read on from the last position")
	// ErrNoSpace refuses an Append: etcd's alarm is raised and it takes no more writes. Some of the events may have been
	// taken; append them again when there is space.
	ErrNoSpace = errors.New("etcd is out of space (NOSPACE): compact and defragment every member, then disarm the alarm " +
		"(etcdctl alarm disarm), or raise --quota-backend-bytes; until then nothing can be appended")
	// ErrOverwritten is the damage of an event whose key was written a second time, by something other than Append.
	ErrOverwritten = errors.New("the event's key was written again after it was created; its content cannot be trusted")
)

// TooLargeError refuses an event that does not fit into one request to etcd. Its upload has to be cut finer, which is
// a fact of the log (Facts.Cut).
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
