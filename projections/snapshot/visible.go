package snapshot

import (
	"context"
	"errors"
	"sync"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// errSwitched ends a wait in a generation that is not the active one any more.
var errSwitched = errors.New("another generation is active")

// WaitVisible is WaitEach in the active generation: when another one becomes active meanwhile, in that. As
// long as there is none, it waits for one.
func (s *Store) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	for g, err := range s.WatchActive(ctx) {
		if err != nil {
			return err
		}
		if err := s.waitWhileActive(ctx, g, upto); !errors.Is(err, errSwitched) {
			return err
		}
	}
	return context.Cause(ctx)
}

func (s *Store) waitWhileActive(ctx context.Context, g projections.Generation, upto map[events.Partition]events.Revision) error {
	ctx, end := s.whileActive(ctx, g)
	defer end()
	return s.WaitEach(ctx, g, upto)
}

// whileActive gives a context that ends with errSwitched when g is not the active generation any more. end
// ends it too, and has to be called.
func (s *Store) whileActive(ctx context.Context, g projections.Generation) (active context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for active, err := range s.WatchActive(ctx) {
			if err != nil || active != g {
				cancel(errSwitched) // after an error the caller finds out, as it watches too
				return
			}
		}
	})
	return ctx, func() { cancel(nil); wg.Wait() }
}
