package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journal collects the steps of parts, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) part(name string, drain time.Duration) Part {
	return Part{
		Name: name,
		Run: func(ctx context.Context) error {
			j.add("start " + name)
			<-ctx.Done()
			time.Sleep(drain)
			j.add("stop " + name)
			return nil
		},
		Close: func() error { j.add("close " + name); return nil },
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestPartsStartBackwardsAndStopForwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		store := j.part("store", 0)
		isUp := time.Now().Add(100 * time.Millisecond)
		store.Ready = func() error {
			if time.Now().Before(isUp) {
				return errors.New("loading")
			}
			j.add("ready store")
			return nil
		}
		parts := []Part{j.part("intake", 50*time.Millisecond), store}
		if err := superviseParts(ctx, parts, time.Second, quiet()); err != nil {
			t.Fatalf("supervise: %v", err)
		}
		want := []string{"start store", "ready store", "start intake", "stop intake", "stop store", "close intake", "close store"}
		if !slices.Equal(j.lines, want) {
			t.Errorf("order\n got %q\nwant %q", j.lines, want)
		}
	})
}

// A part that has started and is not ready lets the parts in front start.
func TestAStartedPartNeedNotBeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		store := j.part("store", 0)
		store.Ready = func() error { return errors.New("loading") }
		isUp := time.Now().Add(100 * time.Millisecond)
		store.Started = func() error {
			if time.Now().Before(isUp) {
				return errors.New("starting")
			}
			j.add("started store")
			return nil
		}
		if err := superviseParts(ctx, []Part{j.part("intake", 0), store}, time.Second, quiet()); err != nil {
			t.Fatalf("supervise: %v", err)
		}
		if want := []string{"start store", "started store", "start intake"}; !slices.Equal(j.lines[:len(want)], want) {
			t.Errorf("order\n got %q\nwant %q first", j.lines, want)
		}
	})
}

func TestFirstPartToEndStopsTheRestAndIsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		broken := Part{Name: "intake", Run: func(context.Context) error {
			time.Sleep(time.Second)
			return errors.New("disk on fire")
		}}
		err := superviseParts(t.Context(), []Part{broken, j.part("store", 0)}, time.Second, quiet())
		if err == nil || !strings.Contains(err.Error(), "running intake: disk on fire") {
			t.Errorf("got error %v, want the cause with its part", err)
		}
		if !slices.Contains(j.lines, "stop store") {
			t.Errorf("store was not stopped: %q", j.lines)
		}
	})
}

func TestPartThatEndsBeforeOthersAreReadyIsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := Part{Name: "store", Ready: func() error { return errors.New("loading") }, Run: func(context.Context) error {
			time.Sleep(time.Second)
			return errors.New("no such cluster")
		}}
		intake := Part{Name: "intake", Run: func(context.Context) error {
			t.Error("intake started although store never became ready")
			return nil
		}}
		err := superviseParts(t.Context(), []Part{intake, never}, time.Second, quiet())
		if err == nil || !strings.Contains(err.Error(), "no such cluster") {
			t.Errorf("got %v, want the cause", err)
		}
	})
}

func TestPartThatDoesNotStopIsLeftBehindAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		stuck := Part{Name: "intake", Run: func(context.Context) error { <-release; return nil }}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := superviseParts(ctx, []Part{stuck}, 3*time.Second, quiet())
		if err == nil || !strings.Contains(err.Error(), "not done after 3s") {
			t.Errorf("got %v, want a report of the stuck part", err)
		}
	})
}
