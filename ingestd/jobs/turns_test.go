package jobs

import (
	"context"
	"testing"
	"testing/synctest"
)

// TestJobsOfOneOwnerDoNotDelayOthers: another owner's job works at once although many of the first one wait.
func TestJobsOfOneOwnerDoNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(2)
		ctx, cancel := context.WithCancel(t.Context())
		working := make(chan func(), 10)
		for range 10 {
			go func() {
				if leave, err := turns.await(ctx, "a"); err == nil {
					working <- leave
				}
			}()
		}
		synctest.Wait()
		if n := len(working); n != 1 {
			t.Fatalf("%d jobs of one owner work, want one of two workers", n)
		}
		leave, err := turns.await(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		leave()
		if leave, err = turns.await(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		leave()
		(<-working)()
		synctest.Wait()
		if n := len(working); n != 1 {
			t.Errorf("%d jobs of the owner work after one has ended, want the next", n)
		}
		cancel()
		synctest.Wait()
		(<-working)()
		if len(turns.owners) != 0 {
			t.Errorf("%d owners are left", len(turns.owners))
		}
	})
}
