package history

import (
	"context"
	"slices"
	"sync"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

const (
	maxMoments = 4 // past states in memory
	maxRewinds = 2 // past states computed at a time
)

// moment identifies a past state: the state at an instant, as known to the view at a position.
type moment struct {
	at         events.Timestamp
	position   events.Revision
	generation projections.Generation
	scope      string
	only       string
}

// momentCache holds the most recently used past states. The zero value is ready to use.
type momentCache struct {
	mu     sync.Mutex
	states []cachedState // the most recently used is last
	busy   chan struct{}
}

type cachedState struct {
	moment
	state *live.State
}

func (m *momentCache) findState(key moment) (*live.State, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.states, func(r cachedState) bool { return r.moment == key })
	if i < 0 {
		return nil, false
	}
	r := m.states[i]
	m.states = append(slices.Delete(m.states, i, i+1), r)
	return r.state, true
}

func (m *momentCache) storeState(key moment, s *live.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.states) == maxMoments {
		m.states = slices.Delete(m.states, 0, 1)
	}
	m.states = append(m.states, cachedState{key, s})
}

// acquireSlot waits until a past state may be computed.
func (m *momentCache) acquireSlot(ctx context.Context) error {
	m.mu.Lock()
	if m.busy == nil {
		m.busy = make(chan struct{}, maxRewinds)
	}
	busy := m.busy
	m.mu.Unlock()
	select {
	case busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *momentCache) releaseSlot() {
	m.mu.Lock()
	busy := m.busy
	m.mu.Unlock()
	<-busy
}
