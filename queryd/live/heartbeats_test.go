package live_test

import (
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/queryd/live"
)

// Readers that begin at once receive one heartbeat each in every interval, spread over it; a reader's own subscriptions receive
// theirs together.
func TestHeartbeatsAreSpread(t *testing.T) {
	const readers, interval = 128, 10 * time.Second
	inBubble(t, live.Config{Heartbeat: interval}, func(r *rig) {
		r.set("h1", "GPU-a", 0, 1)
		r.start()
		var pairs [readers][2]*live.Subscription
		for i := range pairs {
			pairs[i][0] = r.subscribe(live.Options{})
			pairs[i][1] = r.subscribe(live.Options{Phase: pairs[i][0].Phase()})
			r.begin(pairs[i][0])
			r.begin(pairs[i][1])
		}
		time.Sleep(interval) // everybody's phase has come once
		var seen [readers]int
		for _, pair := range pairs {
			r.expect(pair[0], "hb")
			r.expect(pair[1], "hb")
		}
		for range interval / (50 * time.Millisecond) {
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			now := 0
			for i, pair := range pairs {
				first, second := len(r.all(pair[0])), len(r.all(pair[1]))
				if first != second {
					t.Errorf("%d and %d heartbeats for the subscriptions of reader %d, want them together", first, second, i)
				}
				seen[i] += first
				now += first
			}
			if now > readers/16 {
				t.Errorf("%d of %d readers receive a heartbeat within 50 ms, want at most %d", now, readers, readers/16)
			}
		}
		for i, n := range seen {
			if n != 1 {
				t.Errorf("reader %d received %d heartbeats in an interval, want 1", i, n)
			}
		}
	})
}
