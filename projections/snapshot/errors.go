package snapshot

import (
	"errors"
	"fmt"
)

var (
	// ErrFenced refuses a Save whose guard did not hold: the writer has lost its claim and must stop.
	ErrFenced = errors.New("saving projections: claim lost")
	// ErrStale refuses a Save whose guards hold, after a write that this store does not know of, such as a late part
	// of an abandoned commit. Load the partition again, and fold on from there.
	ErrStale = errors.New("saving projections: the partition is not stored as it was known; load it again")
	// ErrBackwards refuses a Save whose offsets are behind the stored ones.
	ErrBackwards = errors.New("saving projections: offsets would go back; load the partition again")
	// ErrSilent ends a Watch when etcd has stopped answering; watch on from the last position, or load again.
	ErrSilent = errors.New("watching projections: etcd is silent")
)

// DamagedError is a stored value that cannot be read. A rebuild replaces it.
type DamagedError struct {
	Key string
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("reading projection %s (a rebuild replaces it): %v", e.Key, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }
