package live

import (
	"telemetry-pipeline/events"
)

// beginning is where a subscription begins.
type beginning struct {
	edition  *edition
	snapshot bool
	reason   string // of a Reset
	resumed  bool
	from     position  // resumed: what the reader has
	replay   []*change // resumed in EventsMode: what it has not
}

// begin prepares what a reader gets first.
func (s *Subscription) begin(st *beginning) {
	s.begun = true
	state := st.edition.state
	s.at, s.last, s.ahead = state.position(), state.place, never
	if st.reason != "" || st.snapshot {
		s.restart(st.edition, st.reason)
		return
	}
	s.synced = &Message{Kind: Synced, Token: state.token, At: state.at, Folded: state.folded, Resumed: st.resumed}
	if !st.resumed {
		return
	}
	s.replay = st.replay
	if s.at.less(st.from) { // it was served by someone who is ahead of us
		s.at, s.ahead, s.heard = st.from, 0, state.asOf
		ahead := events.Revision{Epoch: state.at.Epoch, Cluster: state.at.Cluster, Number: st.from.at}
		s.last = place{at: ahead, token: s.from, folded: state.folded}
		s.synced.Token, s.synced.At = s.from, ahead
		return
	}
	if s.mode == LatestMode {
		if m := st.edition.update(st.from); m != nil {
			s.pending = append(s.pending, m)
		}
	}
}

// restart gives the state anew, after a Reset if there is a reason.
func (s *Subscription) restart(e *edition, reason string) {
	if reason != "" {
		s.pending = append(s.pending, &Message{Kind: Reset, At: e.state.at, Folded: e.state.folded, Reason: reason})
	}
	s.pending = append(s.pending, e.snapshot()...) // a copy: the snapshot's own list is shared
	s.synced = &Message{Kind: Synced, Token: e.state.token, At: e.state.at, Folded: e.state.folded}
	s.at = e.state.position()
}

// first gives what comes before synced, and synced.
func (s *Subscription) first() *Message {
	if m, ok := shift(&s.pending); ok {
		return m
	}
	for c, ok := shift(&s.replay); ok; c, ok = shift(&s.replay) {
		if m := c.message(s.filter); m != nil {
			return m
		}
	}
	m := s.synced
	s.synced = nil
	return m
}

// shift takes the first of a list, and lets go of it.
func shift[T any](list *[]*T) (first *T, ok bool) {
	if len(*list) == 0 {
		*list = nil
		return nil, false
	}
	first = (*list)[0]
	(*list)[0] = nil
	*list = (*list)[1:]
	return first, true
}

// began is called once, when it is known where the subscription starts.
func (s *Subscription) began(g *group, st beginning) {
	s.group.Store(g)
	s.mu.Lock()
	s.start = &st
	s.mu.Unlock()
	s.wake.Set()
}
