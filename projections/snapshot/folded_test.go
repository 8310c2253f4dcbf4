package snapshot

import (
	"context"
	"errors"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// A reader of WatchFolded gets each step, and the other generation's positions when that becomes active.
func TestWatchFoldedFollowsTheActiveGeneration(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	activate := func(g projections.Generation) {
		t.Helper()
		if _, err := f.client.Put(ctx, f.keys.activeKey(), string(g)); err != nil {
			t.Fatal(err)
		}
	}
	position := func(g projections.Generation, p events.Partition, live, series int64) {
		t.Helper()
		c := Commit{Offsets: &projections.Offsets{Live: f.revisionAt(live), Series: f.revisionAt(series)}}
		if err := f.Save(ctx, g, p, c, f.claimPartition(p)); err != nil {
			t.Fatal(err)
		}
	}
	reported, ended := make(chan map[events.Partition]events.Revision), make(chan error, 1)
	go func() {
		for folded, err := range f.WatchFolded(ctx) {
			if err != nil {
				ended <- err
				return
			}
			reported <- folded
		}
		ended <- nil
	}()
	expect := func(what string, p events.Partition, want int64) {
		t.Helper()
		for {
			select {
			case folded := <-reported:
				if r, there := folded[p]; there && r.Number == want {
					return
				}
			case err := <-ended:
				t.Fatalf("%s: the watch ended: %v", what, err)
			case <-timeoutContext(t, time.Minute).Done():
				t.Fatalf("%s: partition %d was not reported at %d", what, p, want)
			}
		}
	}
	position(generation, 1, 20, 10)
	activate(generation)
	expect("what was there", 1, 10)
	position(generation, 1, 20, 20)
	expect("a step", 1, 20)
	position("other", 1, 7, 7)
	position("other", 2, 8, 9)
	activate("other")
	expect("another generation", 1, 7)
	position("other", 2, 9, 9)
	expect("a step of it", 2, 9)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ending the context returned %v, want its error", err)
	}
}
