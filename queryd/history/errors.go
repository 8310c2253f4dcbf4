package history

import "errors"

var (
	// ErrCursor refuses a cursor that history did not issue, or that belongs to a query with another filter, order or
	// range.
	ErrCursor = errors.New("cursor does not belong to this query; start again without it")
	// ErrArchive reports that an object of the archive is missing or damaged: a retry does not help.
	ErrArchive = errors.New("an object of the archive is missing or damaged, and history is not answered without it: " +
		"`collectd archive check -deep` names it, and docs/runbooks/archive.md describes the repair; other ranges, hosts and GPUs can be asked for")
	// ErrNoArchive reports that the history has left the stored series for an archive that is not configured here.
	ErrNoArchive = errors.New("this part of history has left etcd for the archive, and this query server has none configured: " +
		"start it with the -archive.url (ARCHIVE_URL) that the collectors have; newer history is answered")
	// ErrReplaced reports that the generation of projections that is served was removed: another one is active, and this
	// query server cannot read it, or has not gone over to it yet.
	ErrReplaced = errors.New("the history behind this view was replaced by another generation of projections, to which this query server has not gone over: " +
		"/health has the reason; the latest readings are still served, with their age")
	// ErrMoved reports that a chunk of the stored series is not there any more: it was merged with others, or has left for the archive.
	ErrMoved = errors.New("a chunk of history has moved since it was listed")
	// ErrLimit refuses a page size.
	ErrLimit = errors.New("limit takes 1 to 10000")
	// ErrPointLimit refuses a number of points.
	ErrPointLimit = errors.New("limit takes 1 to 5000000 points")
	// ErrP95Step refuses P95 of long steps, which would hold too many readings in memory.
	ErrP95Step = errors.New("p95 takes a step of at most 1d")
)

// PermanentError returns the error to show to the user for a failure that a retry does not mend; nil for any other.
func PermanentError(err error) error {
	for _, known := range []error{ErrArchive, ErrNoArchive, ErrReplaced} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// IsRefusal reports whether an error is of the query itself, so that every history refuses it.
func IsRefusal(err error) bool {
	for _, known := range []error{ErrCursor, ErrLimit, ErrPointLimit, ErrP95Step, ErrPoints, ErrGroupAggregate} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
