package wait

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !Sleep(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("slept %s, want a minute", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if Sleep(ctx, time.Minute) || time.Since(began) != time.Second {
			t.Errorf("slept %s beyond its context of a second", time.Since(began))
		}
		if Sleep(ctx, 0) {
			t.Error("Sleep reports an ended context as going on")
		}
	})
}

func TestBackoffDoublesUpToMostAndStartsAgain(t *testing.T) {
	b := Backoff{Least: 8 * time.Millisecond, Most: 50 * time.Millisecond}
	for round := range 2 {
		for i, want := range []time.Duration{8, 16, 32, 50, 50} {
			want *= time.Millisecond
			if got := b.Next(); got < want/2 || got >= want {
				t.Errorf("round %d, pause %d is %s, want from %s to %s", round, i, got, want/2, want)
			}
		}
		b.Reset()
	}
}

func TestBackoffBeginsAtOnce(t *testing.T) {
	b := Backoff{Least: time.Second, Most: 3 * time.Second, AtOnce: true, Steady: true}
	for round := range 2 {
		for i, want := range []time.Duration{0, 1, 2, 3, 3} {
			if got := b.Next(); got != want*time.Second {
				t.Errorf("round %d, pause %d is %s, want %s", round, i, got, want*time.Second)
			}
		}
		b.Reset()
	}
}

func TestFixedPausesNeverChange(t *testing.T) {
	b := Fixed(time.Second)
	for range 3 {
		if got := b.Next(); got != time.Second {
			t.Errorf("paused %s, want a second", got)
		}
	}
}

func TestNoSignalIsLost(t *testing.T) {
	s := NewSignal()
	s.Set()
	s.Set()
	<-s.C()
	select {
	case <-s.C():
		t.Error("two signals before a receive were delivered twice")
	default:
	}
	synctest.Test(t, func(t *testing.T) {
		s := NewSignal()
		woken := make(chan struct{})
		go func() { <-s.C(); close(woken) }()
		synctest.Wait()
		s.Set()
		<-woken
	})
}
