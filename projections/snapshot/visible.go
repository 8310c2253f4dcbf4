package snapshot

import (
	"context"
	"errors"
	"iter"
	"sync"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// errSwitched ends a wait in a generation that is no longer the active one.
var errSwitched = errors.New("another generation is active")

// WaitVisible is WaitEach in the active generation; when another one becomes active meanwhile, it continues in that
// one. As long as there is none, it waits for one.
func (s *Store) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	for g, err := range s.activeGenerations(ctx) {
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

// activeGenerations yields the generation that is active now, again each time that its reader asks for the next one;
// as long as there is none, it waits for one. Unlike watchActiveName it does not skip a generation that became active
// again: a reader that stopped because another became active, and was busy meanwhile, gets the same one again.
func (s *Store) activeGenerations(ctx context.Context) iter.Seq2[projections.Generation, error] {
	return func(yield func(projections.Generation, error) bool) {
		for goOn := true; goOn; {
			for g, err := range s.watchActiveName(ctx) {
				goOn = yield(g, err) && err == nil
				break
			}
		}
	}
}

// whileActive returns a context that ends with errSwitched when g is not the active generation any more, or with the
// error that keeps it from knowing. end ends it too, and must be called.
func (s *Store) whileActive(ctx context.Context, g projections.Generation) (active context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for active, err := range s.watchActiveName(ctx) {
			if err != nil {
				cancel(err)
				return
			}
			if active != g {
				cancel(errSwitched)
				return
			}
		}
	})
	return ctx, func() { cancel(nil); wg.Wait() }
}
