package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// Watches begin and ask etcd for its progress while events are appended, all on one client. An answer from before a
// watch began says nothing about that watch: no watch counts an event as delivered before it has delivered it.
func TestAWatchThatBeginsAmongOthersMissesNothing(t *testing.T) {
	t.Parallel()
	cfg := eventstest.Config(t)
	cfg.Partitions, cfg.Progress = 8, time.Millisecond
	log := eventstest.OpenLog(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	var asking, watching sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for range 8 { // quiet watches, which ask all the time
		asking.Go(func() {
			for range log.Watch(ctx, 0, events.Revision{}) {
			}
		})
	}
	for p := events.Partition(1); p < 8; p++ {
		watching.Go(func() {
			host := eventstest.HostsOf(p, 8, 1)[0]
			for i := 0; i < 60 && ctx.Err() == nil; i++ {
				if err := findMissed(ctx, log, p, eventstest.Event(host, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	watching.Wait()
}

// findMissed appends an event behind the head, watches from that head, and returns an error if the watch reports
// progress past the event before it has delivered the event.
func findMissed(ctx context.Context, log *eventlog.Log, p events.Partition, ev events.Event) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	appended := make(chan events.Revision, 1)
	go func() {
		defer close(appended)
		if done, err := log.Append(ctx, []events.Event{ev}); err == nil {
			appended <- done[0].Revision
		}
	}()
	var given, upto events.Revision
	var known events.Revision
	for batch, err := range log.Watch(ctx, p, head) {
		if err != nil {
			return err
		}
		for i := range batch.Events {
			given = batch.Events[i].Revision
		}
		select {
		case r, ok := <-appended:
			if !ok && known == (events.Revision{}) {
				return errors.New("the event was not appended")
			} else if ok {
				known = r
			}
		default:
		}
		if upto = batch.Upto; known.Number > 0 && upto.Number >= known.Number {
			break
		}
	}
	if given != known {
		return fmt.Errorf("watching partition %d from %d: progress passed %d, and never given the event of %d", p, head.Number, upto.Number, known.Number)
	}
	return nil
}
