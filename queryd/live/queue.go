package live

// queue is a subscriber's unread messages in EventsMode, bounded by bytes. It admits one message of any size.
type queue struct {
	messages []queuedMessage
	bytes    int
	lagging  bool // a Lag was sent, and the queue has not been empty since
}

type queuedMessage struct {
	message *Message
	bytes   int
}

// queueFill is the result of queueing a message.
type queueFill int

const (
	queueFits     queueFill = iota
	queueHalfFull           // the queue became half full
	queueFull               // there was no room for the message
)

// appendMessage appends a message unless it exceeds the limit.
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

// popOldest removes and returns the oldest message, nil if there is none.
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

// queueMessage queues a message for the reader; queueFull ends the subscription.
func (s *Subscription) queueMessage(m *Message, bytes, limit int) queueFill {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.start.resumed && m.At.Number <= s.start.from.at {
		return queueFits // ended, or the reader resumed from a later position
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

// nextQueued returns the next message in EventsMode: a due Lag first, then the oldest in the queue.
func (s *Subscription) nextQueued() *Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lagDue {
		s.lagDue = false
		return &Message{Kind: Lag, At: s.last.at, Folded: s.last.folded, Queued: len(s.queue.messages)}
	}
	return s.queue.popOldest()
}
