// Package wait holds the three ways in which goroutines of the system wait: for a time, between attempts, and for a
// signal. It links nothing of ours and can be used anywhere, under testing/synctest too.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// Sleep waits for d and reports whether ctx still goes on. It does not wait once ctx has ended, nor where d is not positive.
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

// Backoff is the pause between attempts: Least before the second one, then doubling up to Most. A random half of each
// pause is left out, so that many that failed together do not come back together. One goroutine uses it.
type Backoff struct {
	Least, Most time.Duration

	AtOnce bool // the second attempt follows without a pause; Least comes before the third
	Steady bool // nothing is left out at random

	next time.Duration // 0: no attempt has failed since the last Reset
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

// Wait sleeps for Next and reports whether ctx still goes on.
func (b *Backoff) Wait(ctx context.Context) bool { return Sleep(ctx, b.Next()) }

// Reset makes the next pause the least again; call it after a success.
func (b *Backoff) Reset() { b.next = 0 }

// Signal wakes one waiting goroutine. Signals that come before it waits are one signal; none is lost. The zero value is
// not usable.
type Signal struct{ slot chan struct{} }

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return Signal{slot: make(chan struct{}, 1)} }

// Set wakes the goroutine that waits, or the next one that does. It never blocks.
func (s Signal) Set() {
	select {
	case s.slot <- struct{}{}:
	default:
	}
}

// C returns the channel that delivers the signal; receiving clears it.
func (s Signal) C() <-chan struct{} { return s.slot }
