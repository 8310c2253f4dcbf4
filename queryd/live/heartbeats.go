package live

import "time"

const (
	heartbeatStep     = 50 * time.Millisecond // between two parts of the readers, at least,
	mostHeartbeatSets = 128                   // and into so many parts at most
)

// heartbeats spreads the heartbeats of an interval over it: at each tick one part of the subscriptions receives theirs, so that
// no update waits behind the heartbeats of all readers. The feed's lock guards it.
type heartbeats struct {
	sets     []map[*Subscription]struct{} // each subscription is in the set of its phase
	next     int                          // set of the next tick
	assigned int                          // number of new phases
}

func newHeartbeats(interval time.Duration) heartbeats {
	b := heartbeats{sets: make([]map[*Subscription]struct{}, min(max(1, interval/heartbeatStep), mostHeartbeatSets))}
	for i := range b.sets {
		b.sets[i] = map[*Subscription]struct{}{}
	}
	return b
}

// tick returns the time between two ticks.
func (b *heartbeats) tick(interval time.Duration) time.Duration {
	return max(1, interval/time.Duration(len(b.sets)))
}

// newPhase returns the phase of a reader that begins now. Its first heartbeat comes in the second half of the interval, since
// it has just received the view; readers that begin at once are spread over that half.
func (b *heartbeats) newPhase() int {
	n := len(b.sets)
	b.assigned++
	return n + (b.next+n/2+b.assigned%(n-n/2))%n
}

// addSubscription includes a subscription that has started.
func (b *heartbeats) addSubscription(sub *Subscription) { b.setOf(sub)[sub] = struct{}{} }

func (b *heartbeats) removeSubscription(sub *Subscription) { delete(b.setOf(sub), sub) }

func (b *heartbeats) setOf(sub *Subscription) map[*Subscription]struct{} {
	return b.sets[sub.phase%len(b.sets)]
}

// nextSet returns the subscriptions whose turn it is.
func (b *heartbeats) nextSet() map[*Subscription]struct{} {
	set := b.sets[b.next]
	b.next = (b.next + 1) % len(b.sets)
	return set
}

// sendHeartbeats sends a heartbeat to each subscription whose turn it is.
func (f *Feed) sendHeartbeats(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.State()
	messages := map[*State]*Message{} // shared by the readers of a State, as their encoding is
	for sub := range f.heartbeats.nextSet() {
		g := sub.group.Load()
		if !g.dirty {
			g.refreshSnapshot(s)
		}
		at := g.current.Load().state
		if messages[at] == nil {
			messages[at] = newHeartbeat(at, now)
		}
		sub.setHeartbeat(messages[at])
	}
}
