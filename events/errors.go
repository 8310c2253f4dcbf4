package events

import "errors"

var (
	// ErrCompacted ends a Watch whose start etcd no longer has; Read has it still.
	ErrCompacted = errors.New("watching the log: revision compacted; read on from the last position")
	// ErrOverflow ends a Watch whose reader fell behind its bounded queue.
	ErrOverflow = errors.New("watching the log: reader too slow; read on from the last position")
	// ErrForeign refuses a position of another log.
	ErrForeign = errors.New("position is of another log (epoch or etcd cluster differ); start from the beginning")
)
