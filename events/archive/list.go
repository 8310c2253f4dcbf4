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

// Stored is an item among a partition's objects in the store.
type Stored struct {
	Kind       Kind
	Name       string
	Bytes      int64
	ModifiedAt time.Time
}

// List returns everything that the store has of a partition, by kind, then by name: objects of any log, listed in an entry
// or not, and remains of interrupted writes (their names do not end in .parquet).
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

// Check reads the objects of an entry and returns ErrMissing or a DamagedError for each that is missing or does not match
// the entry, joined.
func (s *Store) Check(ctx context.Context, e Entry) error {
	var errs []error
	for _, o := range e.Objects {
		errs = append(errs, s.verifyObject(ctx, o))
	}
	return errors.Join(errs...)
}

// Remove removes an item by its name in List or an Entry. It is no error if the item does not exist.
func (s *Store) Remove(ctx context.Context, name string) error {
	if !isObjectName(name) {
		return fmt.Errorf("removing archive object %.200q: it is not the name of one", name)
	}
	if err := s.bucket.Delete(ctx, name); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("removing archive object %s: %w", name, err)
	}
	return nil
}

// isObjectName reports whether a name is in a folder of the archive.
func isObjectName(name string) bool {
	for _, kind := range kinds {
		if strings.HasPrefix(name, string(kind)+"/") {
			return true
		}
	}
	return false
}
