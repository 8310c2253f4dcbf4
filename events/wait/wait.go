// Package wait provides the three ways in which goroutines of the system wait: for a time, between attempts, and for
// a signal. It imports nothing of the module and works under testing/synctest.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d and reports whether ctx has not ended. It does not wait if ctx has ended or d is not positive.
func Sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Backoff is the pause between attempts: Least before the second one, then doubling up to Most. Each pause is
// shortened by a random part of up to half, so that many clients that failed together do not return together. It is
// not safe for concurrent use.
type Backoff struct {
	Least, Most time.Duration

	AtOnce bool // no pause before the second attempt; Least comes before the third
	Steady bool // no random shortening

	next time.Duration // 0 if no attempt has failed since the last Reset
}

// Fixed returns a Backoff whose pauses are all d.
func Fixed(d time.Duration) Backoff { return Backoff{Least: d, Most: d, Steady: true} }

// Next returns the pause before the next attempt and lengthens the one after it.
func (b *Backoff) Next() time.Duration {
	if b.AtOnce && b.next == 0 {
		b.next = max(b.Least, 1)
		return 0
	}
	pause := min(max(b.next, b.Least), b.Most)
	b.next = 2 * pause
	if b.Steady || pause <= 1 {
		return pause
	}
	return pause/2 + rand.N(pause/2)
}

// Wait sleeps for Next and reports whether ctx has not ended.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Reset sets the next pause back to Least; call it after a success.
func (b *Backoff) Reset() { b.next = 0 }

// Signal wakes one waiting goroutine. Signals before it waits are merged into one; none is lost. The zero value is
// not usable.
type Signal struct{ slot chan struct{} }

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return Signal{slot: make(chan struct{}, 1)} }

// Set wakes the waiting goroutine, or the next one that waits. It never blocks.
func (s Signal) Set() {
	select {
	case s.slot <- struct{}{}:
	default:
	}
}

// C returns the channel that delivers the signal; receiving clears it.
func (s Signal) C() <-chan struct{} { return s.slot }
