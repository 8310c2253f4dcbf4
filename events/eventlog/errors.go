package eventlog

import (
	"errors"
	"fmt"

	"telemetry-pipeline/events"
)

var (
	// ErrNoSpace refuses an Append: etcd's alarm is raised and it accepts no more writes. Some of the events may be
	// stored; append them again when there is space.
	ErrNoSpace = errors.New("etcd is out of space (NOSPACE): compact and defragment every member, then disarm the alarm " +
		"(etcdctl alarm disarm), or raise --quota-backend-bytes; until then nothing can be appended")

	// errNoFacts: the log's facts were deleted under a running process.
	errNoFacts = errors.New("the facts of the log are gone from etcd; restart when they are restored")
)

// TooLargeError refuses an event that does not fit into one request to etcd. Its upload must be cut into smaller
// events, which is a fact of the log (Facts.Cut).
type TooLargeError struct {
	Host  events.HostID
	Key   string
	Bytes int // size of the encoded event and its key
	Limit int // limit of a request; 0 when etcd refused it by a limit of its own
}

func (e *TooLargeError) Error() string {
	limit := "this etcd accepts in one request; raise its --max-request-bytes (default 1.5 MiB)"
	if e.Limit > 0 {
		limit = fmt.Sprintf("the %d that fit into one request to etcd; cut uploads into smaller events", e.Limit)
	}
	return fmt.Sprintf("appending event %s of host %q: its %d bytes are more than %s", e.Key, e.Host, e.Bytes, limit)
}

// FactsError refuses to open a log with settings that contradict its facts.
type FactsError struct {
	Key     string // key of the facts
	Fact    string // name of the contradicted fact
	Log     string // value in the log
	Setting string // value in this process's settings
}

func (e *FactsError) Error() string {
	return fmt.Sprintf("this process is set to %s %s, but the log was created with %s (in %s, fixed at first use): "+
		"start it with %s, or without that setting, or give it another cluster id for a log of its own",
		e.Fact, e.Setting, e.Log, e.Key, e.Log)
}
