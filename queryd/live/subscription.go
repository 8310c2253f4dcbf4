package live

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/wait"
)

// Subscription is one reader's stream. Only Close is safe for concurrent use.
type Subscription struct {
	feed     *Feed
	filter   *filter
	mode     Mode
	period   time.Duration
	snapshot bool
	from     Token
	wake     wait.Signal
	phase    int // of its heartbeats

	group atomic.Pointer[group] // set when the subscription starts

	// The reader's goroutine owns these fields.
	begun           bool
	pending         []*Message // delivered before anything else
	replay          []*change  // EventsMode: missed changes, delivered before synced
	synced          *Message
	at              position       // LatestMode: everything up to here was delivered
	last            streamPosition // position of the last message that has a token
	heartbeatsAhead int            // heartbeats since the reader came from a server that is ahead of this one, or notAhead
	confirmedAsOf   time.Time      // AsOf of the last of these heartbeats that etcd confirmed

	mu        sync.Mutex // guards the fields that the hub writes
	start     *startPoint
	queue     queue
	heartbeat *Message
	lagDue    bool
	err       error
}

// Next waits for the next message and returns it. There is no more after ErrSlow, ErrClosed or the end of ctx.
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

// Phase returns the phase of the subscription's heartbeats (Options.Phase).
func (s *Subscription) Phase() int { return s.phase }

// Close ends the subscription; Next returns ErrClosed.
func (s *Subscription) Close() {
	s.feed.unsubscribe(s)
	s.endWith(ErrClosed)
}

// Poll returns the next message if there is one now, else nil.
func (s *Subscription) Poll() (*Message, error) {
	s.mu.Lock()
	start, beat, err := s.start, s.heartbeat, s.err
	s.mu.Unlock()
	if err != nil || start == nil {
		return nil, err
	}
	if !s.begun {
		s.applyStart(start)
		s.mu.Lock()
		s.start = &startPoint{resumed: start.resumed, from: start.from} // releases the State
		s.mu.Unlock()
	}
	m := s.nextMessage(beat)
	if m != nil && m.Token != "" {
		if m.At.Number > s.last.at.Number {
			s.heartbeatsAhead = notAhead
		}
		s.last = streamPosition{at: m.At, token: m.Token, folded: m.Folded}
	}
	if m != nil && m.Kind == Update {
		s.feed.metrics.updates.Inc()
	}
	return m, nil
}

// nextMessage returns the next message, nil if there is none now. The caller read beat before it reads anything
// newer.
func (s *Subscription) nextMessage(beat *Message) *Message {
	if m := s.nextInitial(); m != nil {
		return m
	}
	if s.feed.State().hasLeapt(s.last.at.Number) { // it came from a server that was ahead
		return s.restartLost(ResetCompacted)
	}
	if s.mode == EventsMode {
		if m := s.nextQueued(); m != nil {
			return m
		}
	} else if m := s.nextUpdate(); m != nil {
		return m
	}
	if beat == nil || !s.takeHeartbeat(beat) {
		return nil
	}
	if revisionBefore(beat.At, s.last.at) { // an update was faster
		if beat.AsOf.After(s.confirmedAsOf) { // a server cut off from etcd cannot know whether etcd lost the position
			s.confirmedAsOf = beat.AsOf
			if s.heartbeatsAhead++; s.heartbeatsAhead > maxHeartbeatsAhead {
				return s.restartLost(ResetEpoch)
			}
		}
		return &Message{Kind: Heartbeat, Token: s.last.token, At: s.last.at, Folded: s.last.folded, AsOf: beat.AsOf, Time: beat.Time}
	}
	return beat
}

// maxHeartbeatsAhead is how many heartbeats, each with a new confirmation by etcd, a reader from a server ahead of
// this one waits for it to catch up. After that the position counts as lost by etcd, as after a restore.
const maxHeartbeatsAhead = 3

// notAhead is the heartbeatsAhead of a reader that did not come from another server, or whose position was reached.
const notAhead = math.MinInt

// restartLost starts a reader again whose position this server never had.
func (s *Subscription) restartLost(reason string) *Message {
	s.feed.mu.Lock()
	e := s.group.Load().snapshotForJoin(s.feed.State())
	s.mu.Lock()
	s.queue, s.start = queue{}, &startPoint{} // the queue is older than the snapshot; nothing is skipped any more
	s.mu.Unlock()
	s.feed.mu.Unlock()
	s.feed.metrics.resets.WithLabelValues(reason).Inc()
	s.heartbeatsAhead, s.last = notAhead, e.state.streamPosition
	s.restartFrom(e, reason)
	return s.nextInitial()
}

// nextUpdate returns the changes in the group's snapshot since the reader's position.
func (s *Subscription) nextUpdate() *Message {
	e := s.group.Load().current.Load()
	if !s.at.isBefore(e.state.readerPosition()) {
		return nil
	}
	if !e.coversSince(s.at) {
		s.feed.metrics.resets.WithLabelValues(ResetSlow).Inc()
		s.restartFrom(e, ResetSlow)
		return s.nextInitial()
	}
	m := e.updateSince(s.at)
	s.at = e.state.readerPosition()
	s.last = e.state.streamPosition
	return m
}

// takeHeartbeat removes a heartbeat and reports whether it was still undelivered.
func (s *Subscription) takeHeartbeat(m *Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heartbeat == m {
		s.heartbeat = nil
		return true
	}
	return false
}

// setHeartbeat replaces the reader's undelivered heartbeat.
func (s *Subscription) setHeartbeat(m *Message) {
	s.mu.Lock()
	s.heartbeat = m
	s.mu.Unlock()
	s.wake.Set()
}

// endWith ends the subscription with err, unless it has ended.
func (s *Subscription) endWith(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
		s.queue = queue{}
	}
	s.mu.Unlock()
	s.wake.Set()
}
