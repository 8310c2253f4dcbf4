package live

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
)

// Subscription is one reader's stream. Not safe for concurrent use but for Close.
type Subscription struct {
	hub      *Hub
	filter   *filter
	mode     Mode
	period   time.Duration
	snapshot bool
	from     Token
	wake     wait.Signal

	group atomic.Pointer[group] // set when it begins

	// The reader's own.
	begun   bool
	pending []*Message // to give before anything else
	replay  []*change  // EventsMode: what was missed, to give before synced
	synced  *Message
	at      position  // LatestMode: all up to here was given
	last    place     // of the last message that has a token
	ahead   int       // heartbeats since it came from a server that is ahead of this one, or never
	heard   time.Time // AsOf of the last of them that etcd stood behind

	mu     sync.Mutex // guards what the hub writes
	start  *beginning
	queue  queue
	beat   *Message
	lagDue bool
	err    error
}

// Next gives the next message, waiting for it. After ErrSlow, ErrClosed or ctx's end there is no more.
func (s *Subscription) Next(ctx context.Context) (*Message, error) {
	for {
		m, err := s.Poll()
		if m != nil || err != nil {
			return m, err
		}
		select {
		case <-s.wake.C():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close ends the subscription; Next returns ErrClosed.
func (s *Subscription) Close() {
	s.hub.leave(s)
	s.fail(ErrClosed)
}

// Poll gives the next message if there is one now, else nil.
func (s *Subscription) Poll() (*Message, error) {
	s.mu.Lock()
	start, beat, err := s.start, s.beat, s.err
	s.mu.Unlock()
	if err != nil || start == nil {
		return nil, err
	}
	if !s.begun {
		s.begin(start)
		s.mu.Lock()
		s.start = &beginning{resumed: start.resumed, from: start.from} // lets go of the State
		s.mu.Unlock()
	}
	m := s.next(beat)
	if m != nil && m.Token != "" {
		if m.At.Number > s.last.at.Number {
			s.ahead = never
		}
		s.last = place{at: m.At, token: m.Token, folded: m.Folded}
	}
	if m != nil && m.Kind == Update {
		s.hub.metrics.updates.Inc()
	}
	return m, nil
}

// next gives what comes next, nil when nothing does now. beat was read before anything newer could be.
func (s *Subscription) next(beat *Message) *Message {
	if m := s.first(); m != nil {
		return m
	}
	if s.mode == EventsMode {
		if m := s.pop(); m != nil {
			return m
		}
	} else if m := s.read(); m != nil {
		return m
	}
	if beat == nil || !s.takeBeat(beat) {
		return nil
	}
	if before(beat.At, s.last.at) { // overtaken
		if beat.AsOf.After(s.heard) { // a server that hears nothing of etcd cannot know what etcd lost
			s.heard = beat.AsOf
			if s.ahead++; s.ahead > patience {
				return s.lost()
			}
		}
		return &Message{Kind: Heartbeat, Token: s.last.token, At: s.last.at, Folded: s.last.folded, AsOf: beat.AsOf, Time: beat.Time}
	}
	return beat
}

// patience is how many heartbeats, each with news of etcd, a reader that comes from a server ahead of this
// one waits for it to catch up. After that its position is taken for one that etcd has lost, as it is after a restore.
const patience = 3

// never is the ahead of a reader that did not come from another server, or whose position was reached.
const never = math.MinInt

// lost begins anew for a reader whose position is never reached here.
func (s *Subscription) lost() *Message {
	s.hub.mu.Lock()
	e := s.group.Load().joining(s.hub.State())
	s.mu.Lock()
	s.queue, s.start = queue{}, &beginning{} // older than the edition; nothing is passed over any more
	s.mu.Unlock()
	s.hub.mu.Unlock()
	s.hub.metrics.resets.WithLabelValues(ResetEpoch).Inc()
	s.ahead, s.last = never, e.state.place
	s.restart(e, ResetEpoch)
	return s.first()
}

// read gives what the group's edition has that the reader has not.
func (s *Subscription) read() *Message {
	e := s.group.Load().edition.Load()
	if !s.at.less(e.state.position()) {
		return nil
	}
	if !e.follows(s.at) {
		s.hub.metrics.resets.WithLabelValues(ResetSlow).Inc()
		s.restart(e, ResetSlow)
		return s.first()
	}
	m := e.update(s.at)
	s.at = e.state.position()
	s.last = e.state.place
	return m
}

// takeBeat tells whether the heartbeat was still to give.
func (s *Subscription) takeBeat(m *Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beat == m {
		s.beat = nil
		return true
	}
	return false
}

// beatWith leaves a heartbeat for the reader.
func (s *Subscription) beatWith(m *Message) {
	s.mu.Lock()
	s.beat = m
	s.mu.Unlock()
	s.wake.Set()
}

// fail ends the subscription, unless it has ended.
func (s *Subscription) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
		s.queue = queue{}
	}
	s.mu.Unlock()
	s.wake.Set()
}
