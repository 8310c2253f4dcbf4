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

// Watches begin and ask etcd for its progress while events are appended, all on one client. What etcd answered before a
// watch began tells nothing of that one: no watch takes an event for told that it has yet to be told.
func TestAWatchThatBeginsAmongOthersMissesNothing(t *testing.T) {
	cfg := eventstest.Config(t)
	cfg.Partitions, cfg.Progress = 8, time.Millisecond
	log := eventstest.OpenLog(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	var asking, watching sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for range 8 { // quiet ones, which ask all the time
		asking.Go(func() {
			for range log.Watch(ctx, 0, events.Revision{}) {
			}
		})
	}
	for p := events.Partition(1); p < 8; p++ {
		watching.Go(func() {
			host := eventstest.HostsOf(p, 8, 1)[0]
			for i := 0; i < 60 && ctx.Err() == nil; i++ {
				if err := missing(ctx, log, p, eventstest.Event(host, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	watching.Wait()
}

// missing appends an event behind the head, watches from that head, and tells when it was told that there is nothing
// more up to the event and had not been given it.
func missing(ctx context.Context, log *eventlog.Log, p events.Partition, ev events.Event) error {
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
		return fmt.Errorf("watching partition %d from %d: told that there is nothing more up to %d, and never given the event of %d", p, head.Number, upto.Number, known.Number)
	}
	return nil
}
