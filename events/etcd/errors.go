package etcd

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed ends a watch whose client was closed.
var ErrClosed = errors.New("the etcd client was closed")

// CompactedError ends a watch whose next revision etcd no longer has.
type CompactedError struct {
	Revision int64 // the oldest one that etcd has
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("etcd is compacted and has revisions from %d on", e.Revision)
}

// SilentError ends a watch that etcd has not answered for Silence.Lost.
type SilentError struct {
	Quiet time.Duration
}

func (e *SilentError) Error() string { return fmt.Sprintf("etcd has been silent for %s", e.Quiet) }
