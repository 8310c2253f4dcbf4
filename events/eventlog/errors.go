package eventlog

import (
	"errors"
	"fmt"
	"telemetry-pipeline/events"
)

var (
	// ErrNoSpace refuses an Append: etcd's alarm is raised and it takes no more writes. Some of the events
	// may have been taken; append them again when there is space.
	ErrNoSpace = errors.New("etcd is out of space (NOSPACE): compact and defragment every member, then disarm the alarm " +
		"(etcdctl alarm disarm), or raise --quota-backend-bytes; until then nothing can be appended")

	// errNoFacts: the log's facts were deleted from under a running process.
	errNoFacts = errors.New("the facts of the log are gone from etcd; restart when they are restored")
)

// TooLargeError refuses an event that does not fit into one request to etcd. Its upload has to be cut
// finer, which is a fact of the log (Facts.Cut).
type TooLargeError struct {
	Host  events.HostID
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
