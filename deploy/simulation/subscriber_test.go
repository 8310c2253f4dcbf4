package simulation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// subscriber follows the live view over whichever hub will have it, and resumes from its token when that ends.
type subscriber struct {
	name    string
	options live.Options

	mu      sync.Mutex
	hub     int           // where it turns to next
	stall   time.Duration // how long it does not read
	leave   context.CancelFunc
	at      int64 // of its newest token
	knows   mirror
	resumed int
	resets  int
	updates int
	slow    int
}

// mirror is the readings that a subscriber knows, by GPU, part and metric.
type mirror map[events.GPUID]map[string]map[string]projections.Latest

func (m mirror) put(id events.GPUID, part string, latest []projections.Latest) {
	if m[id] == nil {
		m[id] = map[string]map[string]projections.Latest{}
	}
	if m[id][part] == nil {
		m[id][part] = map[string]projections.Latest{}
	}
	for _, l := range latest {
		m[id][part][l.Metric] = l
	}
}

// mirrorOf returns the state that a subscriber of everything must have of GPUs.
func mirrorOf(gpus []*projections.GPU) mirror {
	m := mirror{}
	for _, g := range gpus {
		if len(g.Latest) > 0 {
			m.put(g.ID, "", g.Latest)
		}
		for _, p := range g.Parts {
			m.put(g.ID, p.Name, p.Latest)
		}
	}
	return m
}

// run follows until the world ends.
func (s *subscriber) run(w *world) {
	for w.ctx.Err() == nil {
		s.mu.Lock()
		p := w.hubs[s.hub%len(w.hubs)]
		ctx, leave := context.WithCancel(w.ctx)
		s.leave = leave
		s.mu.Unlock()
		if hub := p.hub.Load(); hub != nil {
			s.follow(ctx, w, hub)
		}
		leave()
		wait.Sleep(w.ctx, 50*time.Millisecond)
	}
}

// follow reads one subscription to its end.
func (s *subscriber) follow(ctx context.Context, w *world, hub *live.Hub) {
	sub, err := hub.Subscribe(s.options)
	if err != nil {
		return // the hub has ended
	}
	defer sub.Close()
	for {
		m, err := sub.Next(ctx)
		if err != nil {
			if errors.Is(err, live.ErrSlow) {
				s.slow++
			}
			return
		}
		s.take(w, m)
		s.mu.Lock()
		stall := s.stall
		s.stall = 0
		s.mu.Unlock()
		if stall > 0 {
			wait.Sleep(ctx, stall)
		}
	}
}

// take applies a message and checks it against the promise: positions never go back.
func (s *subscriber) take(w *world, m *live.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.Kind == live.Reset:
		s.resets++
		w.note("%s at %d was reset to %d: %s", s.name, s.at, m.At.Number, m.Reason)
		clear(s.knows)
	case m.Kind == live.Synced && m.Resumed:
		s.resumed++
	case m.Kind == live.Update:
		s.updates++
		if m.At.Number < s.at {
			w.broken("P10: %s was told an update of %d after one of %d", s.name, m.At.Number, s.at)
		}
	}
	for _, id := range m.Removed {
		delete(s.knows, id)
	}
	for _, item := range m.Items {
		s.knows.put(item.GPU, item.Part, item.Readings)
	}
	if m.Token == "" {
		return
	}
	if m.At.Number < s.at {
		w.broken("P10: %s was given the token of %d (%s) after that of %d", s.name, m.At.Number, m.Kind, s.at)
	}
	s.at, s.options.From = m.At.Number, m.Token
}

func (s *subscriber) String() string {
	return fmt.Sprintf("%s (%s, resumed %d, reset %d, updates %d)", s.name, s.options.Mode, s.resumed, s.resets, s.updates)
}
