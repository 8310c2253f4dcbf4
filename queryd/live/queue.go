package live

// queue is what a subscriber in EventsMode has not read, bounded by bytes. It admits one message of any size.
type queue struct {
	messages []queued
	bytes    int
	lagging  bool // told that it lags, and not recovered
}

type queued struct {
	message *Message
	bytes   int
}

// fill says what a message did to a queue.
type fill int

const (
	fits fill = iota
	half      // it is half full now, and was not
	full      // the message had no room
)

// add appends a message.
func (q *queue) add(m *Message, bytes, limit int) fill {
	if len(q.messages) > 0 && q.bytes+bytes > limit {
		return full
	}
	q.messages = append(q.messages, queued{m, bytes})
	q.bytes += bytes
	if q.bytes > limit/2 && !q.lagging {
		q.lagging = true
		return half
	}
	return fits
}

// take removes the oldest message, nil when there is none.
func (q *queue) take() *Message {
	if len(q.messages) == 0 {
		return nil
	}
	m := q.messages[0]
	q.messages[0] = queued{}
	q.messages = q.messages[1:]
	q.bytes -= m.bytes
	if len(q.messages) == 0 {
		q.messages, q.lagging = nil, false
	}
	return m.message
}

// push queues a message for the reader; full ends the subscription.
func (s *Subscription) push(m *Message, bytes, limit int) fill {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.start.resumed && m.At.Number <= s.start.from.at {
		return fits // ended, or the reader came back from further on
	}
	how := s.queue.add(m, bytes, limit)
	switch how {
	case half:
		s.lagDue = true
	case full:
		s.err, s.queue = ErrSlow, queue{}
	}
	s.wake.Set()
	return how
}

// pop gives what waits in EventsMode: the word that it lags first.
func (s *Subscription) pop() *Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lagDue {
		s.lagDue = false
		return &Message{Kind: Lag, At: s.last.at, Folded: s.last.folded, Queued: len(s.queue.messages)}
	}
	return s.queue.take()
}
