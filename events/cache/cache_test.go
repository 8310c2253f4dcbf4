package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestValuesAreMadeOnceAndBounded(t *testing.T) {
	c := New[int](1000, func(v []byte) int { return len(v) })
	made := 0
	get := func(key int) {
		t.Helper()
		v, err := c.Get(t.Context(), key, func(context.Context) ([]byte, error) { made++; return make([]byte, 100), nil })
		if err != nil || len(v) != 100 {
			t.Fatal(len(v), err)
		}
	}
	for range 3 {
		get(1)
	}
	if s := c.Stats(); made != 1 || s.Hits != 2 || s.Misses != 1 || s.Bytes != 100 {
		t.Errorf("made %d times, %+v; want once, 2 hits and 1 miss, 100 bytes", made, s)
	}
	for key := range 100 {
		get(key)
	}
	if s := c.Stats(); s.Bytes > 1000 {
		t.Errorf("the cache holds %d bytes of at most 1000", s.Bytes)
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	c, broken := New[int](1000, func(int) int { return 1 }), errors.New("broken")
	if _, err := c.Get(t.Context(), 1, func(context.Context) (int, error) { return 0, broken }); !errors.Is(err, broken) {
		t.Fatalf("got %v, want the error of make", err)
	}
	if v, err := c.Get(t.Context(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("got %d, %v; want the value that make returns the next time", v, err)
	}
}

// TestAnotherCallersContextEndsNobodyElse cancels the caller whose make is shared.
func TestAnotherCallersContextEndsNobodyElse(t *testing.T) {
	c := New[int](1000, func(int) int { return 1 })
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		_, err := c.Get(ctx, 1, func(ctx context.Context) (int, error) {
			close(begun)
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that was cancelled got %v", err)
		}
	})
	<-begun
	group.Go(func() {
		v, err := c.Get(t.Context(), 1, func(context.Context) (int, error) { return 7, nil })
		if v != 7 || err != nil {
			t.Errorf("the other caller got %d, %v; want 7", v, err)
		}
	})
	cancel()
	group.Wait()
}

func TestNoCacheMakesEachValue(t *testing.T) {
	var c *Cache[int, int]
	for want := range 3 {
		if v, err := c.Get(t.Context(), 1, func(context.Context) (int, error) { return want, nil }); v != want || err != nil {
			t.Errorf("got %d, %v; want %d", v, err, want)
		}
	}
}
