package snapshot

import (
	"errors"
	"fmt"

	"telemetry-pipeline/projections"
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

// VersionError refuses a generation whose models are of another version than this program's. A collector folds a
// generation of its own version, or is idle beside a later one; a query server waits until one of its own version is
// active.
type VersionError struct {
	Generation projections.Generation
	Version    int // of the models of the generation; 0 if there is no record of it
}

func (e *VersionError) Error() string {
	switch {
	case e.Version == 0:
		return fmt.Sprintf("generation %s is active without a record of its model version, and this program serves version %d: `collectd rebuild -activate` replaces it",
			e.Generation, ModelVersion)
	case e.Version > ModelVersion:
		return fmt.Sprintf("generation %s is active with models of version %d, and this program serves version %d: upgrade it", e.Generation, e.Version, ModelVersion)
	default:
		return fmt.Sprintf("generation %s is active with models of version %d, and this program serves version %d: "+
			"it goes over once a collectd of version %d has folded and activated its generation; start one if none runs",
			e.Generation, e.Version, ModelVersion, ModelVersion)
	}
}
