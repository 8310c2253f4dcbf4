package history

import "errors"

var (
	// ErrCursor refuses a cursor that is not ours, or that belongs to a query with another filter, order or
	// range.
	ErrCursor = errors.New("cursor does not belong to this query; start again without it")
	// ErrArchive is history that an object of the archive has which is missing or damaged: trying again does not help.
	ErrArchive = errors.New("an object of the archive is missing or damaged, and history is not told without it: " +
		"`collectd archive check -deep` names it, and docs/runbooks/archive.md says what to do; other ranges, hosts and GPUs can be asked for")
	// ErrNoArchive is history that has left the stored series for an archive that is not configured here.
	ErrNoArchive = errors.New("this part of history has left etcd for the archive, and this query server knows none: " +
		"start it with the -archive.url (ARCHIVE_URL) that the collectors have; newer history is answered")
	// ErrLimit refuses a page size.
	ErrLimit = errors.New("limit takes 1 to 10000")
	// ErrP95Step refuses P95 of long steps, for which too many readings would be held at a time.
	ErrP95Step = errors.New("p95 takes a step of at most 1d")
)

// Told gives what people are told of an error that does not pass by trying again; nil of any other.
func Told(err error) error {
	for _, known := range []error{ErrArchive, ErrNoArchive} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}
