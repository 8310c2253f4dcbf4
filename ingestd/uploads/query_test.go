package uploads

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestFollowYieldsChangesUntilTheEnd(t *testing.T) {
	t.Parallel()
	client, store := eventstest.Etcd(t), eventstest.Config(t)
	one, _ := startRegistry(t, client, store, "one")
	two, _ := startRegistry(t, client, store, "two")
	for _, r := range []*Registry{one, two} {
		u := testUpload(1)
		u.ID = events.UploadID("follow-" + r.server)
		h := one.Begin(u)
		waitStored(t, h)
		var got []State
		for u, err := range r.Follow(t.Context(), u.ID, time.Hour) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, u.State)
			next := map[State]State{Queued: Processing, Processing: Done}[u.State]
			h.Change(func(u *Upload) { u.State = next })
		}
		if want := []State{Queued, Processing, Done}; !cmp.Equal(got, want) {
			t.Errorf("%s saw %v, want %v", r.server, got, want)
		}
	}
	for _, err := range two.Follow(t.Context(), "never", time.Hour) {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("following an unknown upload: %v", err)
		}
	}
}

func TestFollowRepeatsAnUnchangedState(t *testing.T) {
	r, _ := startRegistry(t, nil, eventlog.Config{}, "one")
	h := r.Begin(testUpload(1))
	seen := 0
	for u, err := range r.Follow(t.Context(), "id-1", time.Nanosecond) {
		if err != nil || !u.UpdatedAt.Equal(h.Upload().UpdatedAt) {
			t.Fatalf("got %+v, %v", u, err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("yielded %d times, want 3", seen)
	}
}
