package eventlog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// One of etcd's members accepts everything and answers nothing, like a frozen process or a cut cable: the log is
// followed over another member, long before gRPC finds the connection dead (after 13 s).
func TestBlackHoledMemberDoesNotHoldUpTheLog(t *testing.T) {
	t.Parallel()
	server := eventstest.Shared(t)
	cfg := server.Config(t)
	log := eventstest.OpenLog(t, cfg)
	paths := server.NewPaths(t, 3)
	far := eventstest.OpenLog(t, paths.Config(cfg))
	head, err := far.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const host = "h"
	given := make(chan events.Revision)
	go func() {
		defer close(given)
		for b, err := range far.Watch(ctx, events.PartitionOf(host, log.Facts().Partitions), head) {
			if err != nil {
				return
			}
			for i := range b.Events {
				select {
				case given <- b.Events[i].Revision:
				case <-ctx.Done():
				}
			}
		}
	}()
	await := func(i int) {
		done, err := log.Append(t.Context(), []events.Event{eventstest.Event(host, i)})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case r, open := <-given:
			if !open || r != done[0].Revision {
				t.Fatalf("given %v (%t), want the event at %v", r, open, done[0].Revision)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("event %d was not given within 10 s", i)
		}
	}
	await(0)
	for i := range 3 { // any of them may serve the watch
		paths.Block(i)
		await(i + 1)
		paths.Unblock(i)
	}
}

// The same for foreign keys, whose watch has no other sign of a dead member.
func TestBlackHoledMemberDoesNotHoldUpForeignKeys(t *testing.T) {
	server := eventstest.Shared(t)
	cfg := server.Config(t)
	client := server.Client(t)
	paths := server.NewPaths(t, 3)
	far := eventstest.OpenLog(t, paths.Config(cfg))
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- far.WatchForeign(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	await := func(what string) {
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("no call for %s within 10 s", what)
		}
	}
	await("the start")
	for i, name := range []string{"1752871354_host_0_1", "1752871354_host_0_2", "1752871354_host_0_3"} { // any of them may serve the watch
		paths.Block(i)
		if _, err := client.Put(t.Context(), cfg.Root+"/"+events.QueuePrefix(eventlog.DefaultClusterID)+name, "v"); err != nil {
			t.Fatal(err)
		}
		await(name)
		paths.Unblock(i)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}
