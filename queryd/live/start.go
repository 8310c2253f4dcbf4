package live

import (
	"telemetry-pipeline/events"
)

// startPoint is the position at which a subscription starts.
type startPoint struct {
	base     *groupSnapshot
	snapshot bool
	reason   string // reason of a Reset
	resumed  bool
	from     position  // resumed: the reader's position
	replay   []*change // resumed in EventsMode: the changes that the reader missed
}

// applyStart prepares the reader's first messages.
func (s *Subscription) applyStart(st *startPoint) {
	s.begun = true
	state := st.base.state
	s.at, s.last, s.heartbeatsAhead = state.readerPosition(), state.streamPosition, notAhead
	if st.reason != "" || st.snapshot {
		s.restartFrom(st.base, st.reason)
		return
	}
	s.synced = &Message{Kind: Synced, Token: state.token, At: state.at, Folded: state.folded, Resumed: st.resumed}
	if !st.resumed {
		return
	}
	s.replay = st.replay
	if s.at.isBefore(st.from) { // served by another server that is ahead of this one
		s.at, s.heartbeatsAhead, s.confirmedAsOf = st.from, 0, state.asOf
		ahead := events.Revision{Epoch: state.at.Epoch, Cluster: state.at.Cluster, Number: st.from.at}
		s.last = streamPosition{at: ahead, token: s.from, folded: state.folded}
		s.synced.Token, s.synced.At = s.from, ahead
		return
	}
	if s.mode == LatestMode {
		if m := st.base.updateSince(st.from); m != nil {
			s.pending = append(s.pending, m)
		}
	}
}

// restartFrom queues the whole state again, after a Reset if there is a reason.
func (s *Subscription) restartFrom(e *groupSnapshot, reason string) {
	if reason != "" {
		s.pending = append(s.pending, &Message{Kind: Reset, At: e.state.at, Folded: e.state.folded, Reason: reason})
	}
	s.pending = append(s.pending, e.wholeSnapshot()...) // a copy: the group's own list is shared
	s.synced = &Message{Kind: Synced, Token: e.state.token, At: e.state.at, Folded: e.state.folded}
	s.at = e.state.readerPosition()
}

// nextInitial returns the next message up to and including Synced.
func (s *Subscription) nextInitial() *Message {
	if m, ok := popFront(&s.pending); ok {
		return m
	}
	for c, ok := popFront(&s.replay); ok; c, ok = popFront(&s.replay) {
		if m := c.messageFor(s.filter); m != nil {
			return m
		}
	}
	m := s.synced
	s.synced = nil
	return m
}

// popFront removes and returns the first element of a list, and drops the list's reference to it.
func popFront[T any](list *[]*T) (first *T, ok bool) {
	if len(*list) == 0 {
		*list = nil
		return nil, false
	}
	first = (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return first, true
}

// setStart stores the subscription's group and start. The hub calls it once.
func (s *Subscription) setStart(g *group, st startPoint) {
	s.group.Store(g)
	s.mu.Lock()
	s.start = &st
	s.mu.Unlock()
	s.wake.Set()
}
