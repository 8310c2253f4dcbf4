package live

// queue is what a subscriber in EventsMode has not read, bounded by bytes. It admits one message of any size.
type queue struct {
	messages []queuedMessage
	bytes    int
	lagging  bool // told that it lags, and not recovered
}

type queuedMessage struct {
	message *Message
	bytes   int
}

// queueFill says what a message did to a queue.
type queueFill int

const (
	queueFits queueFill = iota
	queueHalfFull      // it is half full now, and was not
	queueFull      // the message had no room
)

// appendMessage appends a message.
func (q *queue) appendMessage(m *Message, bytes, limit int) queueFill {
	if len(q.messages) > 0 && q.bytes+bytes > limit {
		return queueFull
	}
	q.messages = append(q.messages, queuedMessage{m, bytes})
	q.bytes += bytes
	if q.bytes > limit/2 && !q.lagging {
		q.lagging = true
		return queueHalfFull
	}
	return queueFits
}

// popOldest removes the oldest message, nil when there is none.
func (q *queue) popOldest() *Message {
	if len(q.messages) == 0 {
		return nil
	}
	m := q.messages[0]
	q.messages[0] = queuedMessage{}
	q.messages = q.messages[1:]
	q.bytes -= m.bytes
	if len(q.messages) == 0 {
		q.messages, q.lagging = nil, false
	}
	return m.message
}

// queueMessage queues a message for the reader; full ends the subscription.
func (s *Subscription) queueMessage(m *Message, bytes, limit int) queueFill {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.start.resumed && m.At.Number <= s.start.from.at {
		return queueFits // ended, or the reader came back from further on
	}
	how := s.queue.appendMessage(m, bytes, limit)
	switch how {
	case queueHalfFull:
		s.lagDue = true
	case queueFull:
		s.err, s.queue = ErrSlow, queue{}
	}
	s.wake.Set()
	return how
}

// nextQueued gives what waits in EventsMode: the word that it lags first.
func (s *Subscription) nextQueued() *Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lagDue {
		s.lagDue = false
		return &Message{Kind: Lag, At: s.last.at, Folded: s.last.folded, Queued: len(s.queue.messages)}
	}
	return s.queue.popOldest()
}
