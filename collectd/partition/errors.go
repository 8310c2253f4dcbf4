package partition

import "errors"

var (
	// ErrLost ends a claim whose owner key is gone or another member's: the guard no longer holds.
	ErrLost = errors.New("partition claim lost")
	// ErrMoved ends a claim on a partition that now ranks to another member; the guard holds until the release.
	ErrMoved = errors.New("partition moves to another collector")
	// ErrStopping ends a claim because its collector stops; the guard holds until the release.
	ErrStopping = errors.New("collector stops")
	// ErrLocked means that another process uses the data directory.
	ErrLocked = errors.New("data directory is in use by another collector; give each its own (flag partition.data-dir)")

	errReleased  = errors.New("partition released by its owner")
	errLeaseGone = errors.New("lease gone")
	errKeyGone   = errors.New("owner key gone or another's")
)
