package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"telemetry-pipeline/events"
)

// Stored is something that the store has among a partition's objects.
type Stored struct {
	Kind       Kind
	Name       string
	Bytes      int64
	ModifiedAt time.Time
}

// List gives all that the store has of a partition, by kind, then by name: objects of whatever log, listed in an entry or
// not, and what an interrupted write left (its name does not end in .parquet).
func (s *Store) List(ctx context.Context, p events.Partition) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		for _, kind := range kinds {
			prefix := string(kind) + "/" + p.String() + "/"
			for all := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
				o, err := all.Next(ctx)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					yield(Stored{}, fmt.Errorf("listing archive objects %s*: %w", prefix, err))
					return
				}
				if !yield(Stored{kind, o.Key, o.Size, o.ModTime}, nil) {
					return
				}
			}
		}
	}
}

// Check reads the objects of an entry and tells which of them do not hold what they should: ErrMissing or a DamagedError
// for each, joined.
func (s *Store) Check(ctx context.Context, e Entry) error {
	var errs []error
	for _, o := range e.Objects {
		errs = append(errs, s.verifyObject(ctx, o))
	}
	return errors.Join(errs...)
}

// Remove removes something by the name that List or an Entry gives. What is not there is no error.
func (s *Store) Remove(ctx context.Context, name string) error {
	if !isObjectName(name) {
		return fmt.Errorf("removing archive object %.200q: it is not the name of one", name)
	}
	if err := s.bucket.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("removing archive object %s: %w", name, err)
	}
	return nil
}

// isObjectName tells whether something of that name is ours.
func isObjectName(name string) bool {
	for _, kind := range kinds {
		if strings.HasPrefix(name, string(kind)+"/") {
			return true
		}
	}
	return false
}
