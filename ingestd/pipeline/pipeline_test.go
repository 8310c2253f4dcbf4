package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// stuckReader yields a text and then blocks, as a silent client does, until the body is stopped.
type stuckReader struct {
	text    io.Reader
	stopped chan struct{}
}

func (s stuckReader) Read(p []byte) (int, error) {
	if n, _ := s.text.Read(p); n > 0 {
		return n, nil
	}
	<-s.stopped
	return 0, errors.New("connection deadline")
}

// Whichever way an upload ends, its goroutines have ended when it returns, and the error is the first cause. A bubble
// fails the test when one of them is left.
func TestNoStageOutlivesItsUpload(t *testing.T) {
	cause := errors.New("the server stops")
	file := pipelinetest.DCGMFile(20_000, 5)
	up := func() appender { return pipelinetest.NewRecorder() }
	down := func() appender {
		log := pipelinetest.NewRecorder()
		log.SetDown(true)
		return log
	}
	silent := func() appender {
		log := pipelinetest.NewRecorder()
		log.HoldAppends()
		return log
	}
	cases := []struct {
		name  string
		log   func() appender
		whole bool  // the client sends all
		end   error // ends the server's uploads after a minute
		want  string
	}{
		{name: "all goes well", log: up, whole: true},
		{name: "log down", log: down, want: "etcd does not accept events"},
		{name: "log silent", log: silent, want: "etcd does not accept events"},
		{name: "log panics", log: func() appender { return pipelinetest.PanickingLog{Recorder: pipelinetest.NewRecorder()} }, want: "secret of the log"},
		{name: "server stops while the client is silent", log: up, end: cause, want: cause.Error()},
		{name: "server stops while the log is silent", log: silent, whole: true, end: cause, want: cause.Error()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				processor := processorOf(c.log(), 3, time.Hour)
				p, err := ParseParameters(nil, "UTC", time.Now().AddDate(50, 0, 0)) // a bubble's clock starts in 2000
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				stopped := make(chan struct{})
				b := intake.NewBody(nil, 0, func(time.Time) error { close(stopped); return nil }, intake.Config{})
				release := b.StopWith(ctx)
				defer release()
				if c.end != nil {
					time.AfterFunc(time.Minute, func() { cancel(c.end) })
				}
				var text io.Reader = stuckReader{bytes.NewReader(file), stopped}
				if c.whole {
					text = bytes.NewReader(file)
				}
				_, err = processor.ProcessFile(ctx, intake.NewFile("", text, b.StopReading), p, answer.NewReceipt())
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("got error %v, want %q", err, c.want)
				}
			})
		})
	}
}

// The bytes of events in flight are bounded, and an event larger than the bound passes alone.
func TestAppendingHoldsBackWhatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := pipelinetest.NewRecorder()
		release := log.HoldAppends()
		out := newAppendStage(&appends{
			log: log, partitions: log.Facts().Partitions, timeout: time.Hour, throttle: openThrottle{}, observe: func(float64) {}, capacity: 1,
			stats: answer.AppendStats{Reached: map[events.Partition]events.Revision{}},
		})
		var evs []events.Event
		for _, host := range []events.HostID{"a", "b"} {
			cutter := events.NewCutter(events.CutRules{}, "u", "")
			cutter.Row(host, 10, []events.Record{{Identity: &events.Identity{UUID: "GPU-1"}, Metric: "m", Source: "m", At: 1, Value: events.Value{Number: events.Int(1)}}})
			evs = append(evs, cutter.Flush()...)
		}
		stages, ctx := errgroup.WithContext(t.Context())
		stages.Go(func() error { return out.runStage(ctx) })
		put := make(chan int, len(evs))
		stages.Go(func() error {
			defer out.closeInput()
			for i, e := range evs {
				if err := out.putEvent(ctx, e); err != nil {
					return err
				}
				put <- i
			}
			return nil
		})
		synctest.Wait()
		if len(put) != 1 {
			t.Errorf("%d events were taken in while the first was not durable, want 1", len(put))
		}
		release()
		if err := stages.Wait(); err != nil {
			t.Fatal(err)
		}
		if out.stats.Accepted != 2 {
			t.Errorf("%d records accepted, want 2", out.stats.Accepted)
		}
	})
}
