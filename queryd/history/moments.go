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
	maxMoments = 4 // past states kept
	maxRewinds = 2 // and made side by side
)

// moment names a past state: what was at an instant, as the view knew it at a position.
type moment struct {
	at         events.Timestamp
	position   events.Revision
	generation projections.Generation
	only       string
}

// moments keeps the past states that were asked for last. The zero value is ready.
type moments struct {
	mu     sync.Mutex
	states []remembered // the one asked for last is at the end
	busy   chan struct{}
}

type remembered struct {
	moment
	state *live.State
}

func (m *moments) get(key moment) (*live.State, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.states, func(r remembered) bool { return r.moment == key })
	if i < 0 {
		return nil, false
	}
	r := m.states[i]
	m.states = append(slices.Delete(m.states, i, i+1), r)
	return r.state, true
}

func (m *moments) put(key moment, s *live.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.states) == maxMoments {
		m.states = slices.Delete(m.states, 0, 1)
	}
	m.states = append(m.states, remembered{key, s})
}

// enter waits for a place among those who go back.
func (m *moments) enter(ctx context.Context) error {
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

func (m *moments) leave() {
	m.mu.Lock()
	busy := m.busy
	m.mu.Unlock()
	<-busy
}
