package etcd

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed ends a watch whose client was closed.
var ErrClosed = errors.New("the etcd client was closed")

// CompactedError ends a watch whose next revision has been compacted.
type CompactedError struct {
	Revision int64 // the oldest available revision
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("etcd is compacted and has revisions from %d on", e.Revision)
}

// SilentError ends a watch without any response from etcd for Silence.Lost.
type SilentError struct {
	Quiet time.Duration
}

func (e *SilentError) Error() string { return fmt.Sprintf("etcd has been silent for %s", e.Quiet) }
