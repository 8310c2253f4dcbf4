package spool

import (
	"errors"
	"fmt"
	"syscall"
)

// The refusals of a spool. Each passes by itself once other uploads are processed, except ErrDiskFull and ErrLocked,
// which need an operator.
var (
	ErrBytes    = errors.New("the files that wait to be processed take all the bytes that they may (flag ingest.spool-bytes)")
	ErrUploads  = errors.New("as many uploads as may are waiting to be processed (flag ingest.spool-uploads)")
	ErrShare    = errors.New("one principal has three quarters of the room for uploads that wait to be processed")
	ErrDiskFull = errors.New("the disk of the upload directory is full")
	ErrLocked   = errors.New("the upload directory is in use by another process; give each its own by flag upload-dir or UPLOAD_DIR")
)

// WriteError is a failure of the spool's disk, as opposed to one of the source that is written to it.
type WriteError struct{ Err error }

func (e *WriteError) Error() string { return fmt.Sprintf("writing to the upload directory: %v", e.Err) }

// Unwrap returns the cause, ErrDiskFull among them.
func (e *WriteError) Unwrap() error { return e.Err }

func writeError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return &WriteError{err}
}
