package socket

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// liveSession speaks gpu.live.v1. The writer owns it, but for ops.
type liveSession struct {
	conn    *conn
	streams []*stream
	next    int  // whose turn it is
	asked   bool // there was a sub
	ops     budget
}

// stream is one subscription of a client.
type stream struct {
	id    string
	from  live.Token
	sub   *live.Subscription
	acked bool
	beat  *live.Message // a heartbeat that waits for those of the other streams
}

func newLiveSession(c *conn) *liveSession {
	return &liveSession{conn: c, ops: budget{left: opsBurst, at: time.Now()}}
}

// liveRequest is a client's message.
type liveRequest struct {
	Op       string     `json:"op"`
	ID       string     `json:"id"`
	Filter   liveFilter `json:"filter"`
	Mode     string     `json:"mode"`
	Hz       float64    `json:"hz"`
	Snapshot *bool      `json:"snapshot"` // default true
	From     string     `json:"from"`
}

type liveFilter struct {
	Host   []string       `json:"host"`
	GPU    []events.GPUID `json:"gpu"`
	Metric []string       `json:"metric"`
}

// hello tells the client where the view is and what it may do.
func (s *liveSession) hello() (time.Duration, *closing) {
	c := s.conn
	c.send(helloFrame(c.server.hub.State(), c.server.hub.Heartbeat(), c.server.cfg))
	within := c.server.cfg.SubTimeout
	return within, closeWith(codeTimeout, "no sub within %v", within)
}

func (s *liveSession) ready() bool { return s.asked }

// receive parses a client's message and has the writer do what it says.
func (s *liveSession) receive(text []byte) error {
	if !s.ops.take(time.Now()) {
		return closeWith(codeTooOften, "more than %d messages a second", opsPerSec)
	}
	var req liveRequest
	if err := json.Unmarshal(text, &req); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return closeWith(codeBadMessage, "Invalid message: field %s must not be a %s", wrong.Field, wrong.Value)
		}
		return closeWith(codeBadMessage, `Invalid message: send a JSON object such as {"op":"sub","id":"1"}`)
	}
	if (req.Op == "sub" || req.Op == "unsub") && (req.ID == "" || len(req.ID) > maxID) {
		return closeWith(codeBadMessage, "Invalid message: id must be text of 1 to %d bytes", maxID)
	}
	switch req.Op {
	case "sub":
		s.conn.do(func() { s.subscribe(req) })
	case "unsub":
		s.conn.do(func() { s.unsubscribe(req.ID) })
	case "ping":
		s.conn.do(func() { s.conn.send([]byte(`{"t":"pong"}`)) })
	default:
		return closeWith(codeBadMessage, "Invalid message: op is %.20q; send sub, unsub or ping", req.Op)
	}
	return nil
}

// subscribe starts a stream, or says why not.
func (s *liveSession) subscribe(req liveRequest) {
	c := s.conn
	s.asked = true
	switch {
	case s.find(req.ID) >= 0:
		c.cancel(closeWith(codeDuplicate, "Subscriber for %s already exists", req.ID))
		return
	case len(s.streams) >= c.server.cfg.Subscriptions:
		c.send(errFrame(req.ID, "too_many", "too many subscriptions on this connection; unsub one first"))
		return
	}
	sub, err := c.server.hub.Subscribe(live.Options{
		Filter:   live.Filter{Hosts: req.Filter.Host, GPUs: req.Filter.GPU, Metrics: s.canonical(req.Filter.Metric)},
		Mode:     live.Mode(req.Mode),
		Hz:       req.Hz,
		Snapshot: req.Snapshot == nil || *req.Snapshot,
		From:     live.Token(req.From),
		Wake:     c.wake,
	})
	switch {
	case errors.Is(err, live.ErrClosed):
		s.ended(err)
	case err != nil:
		c.send(errFrame(req.ID, "bad_option", strings.TrimPrefix(err.Error(), "subscribing: ")))
	default:
		s.streams = append(s.streams, &stream{id: req.ID, from: live.Token(req.From), sub: sub})
		s.conn.wake.Set()
	}
}

// canonical names metrics as the view does.
func (s *liveSession) canonical(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, s.conn.server.cfg.Metric(n))
	}
	return out
}

func (s *liveSession) unsubscribe(id string) {
	i := s.find(id)
	if i < 0 {
		s.conn.send(errFrame(id, "unknown_id", "no such subscription"))
		return
	}
	s.streams[i].sub.Close()
	s.streams = slices.Delete(s.streams, i, i+1)
	s.conn.wake.Set()
}

func (s *liveSession) find(id string) int {
	return slices.IndexFunc(s.streams, func(st *stream) bool { return st.id == id })
}

// pull writes what the streams have, one message each in turn.
func (s *liveSession) pull(n int) (more bool) {
	for idle := 0; idle < len(s.streams); {
		if n == 0 {
			return true
		}
		s.next = (s.next + 1) % len(s.streams)
		st := s.streams[s.next]
		m, err := st.sub.Poll()
		if err != nil {
			s.ended(err)
			return false
		}
		if m == nil {
			idle++
			continue
		}
		idle = 0
		n--
		if s.give(st, m); s.conn.ctx.Err() != nil {
			return false
		}
	}
	s.beat()
	return false
}

// ended closes the connection when a stream's hub says that it is over.
func (s *liveSession) ended(err error) {
	if errors.Is(err, live.ErrSlow) {
		s.conn.cancel(closeWith(codeSlow, "%v", live.ErrSlow))
		return
	}
	s.conn.cancel(closeWith(codeRestart, "server restarts; resume from the last rev"))
}

// give writes one message of a stream, behind the ack if it is its first.
func (s *liveSession) give(st *stream, m *live.Message) {
	if !st.acked {
		st.acked = true
		s.conn.send(ackFrame(st, m))
	}
	if m.Kind == live.Heartbeat {
		st.beat = m
		return
	}
	st.overtake(m)
	sendFrame(s.conn, st.id, m)
}

// overtake brings a heartbeat that waits to the position of a message that is sent before it: it must not take the client
// back, nor, after a reset, ahead.
func (st *stream) overtake(m *live.Message) {
	switch {
	case st.beat == nil:
	case m.Kind == live.Reset:
		st.beat = nil
	case m.Token != "":
		st.beat = &live.Message{Kind: live.Heartbeat, Token: m.Token, At: m.At, Folded: m.Folded, AsOf: st.beat.AsOf, Time: st.beat.Time}
	}
}

// beat writes a heartbeat for the whole connection once every stream has one: the oldest position counts.
func (s *liveSession) beat() {
	var oldest *live.Message
	for _, st := range s.streams {
		switch {
		case st.beat == nil:
			return
		case oldest == nil || st.beat.At.Number < oldest.At.Number:
			oldest = st.beat
		}
	}
	if oldest == nil {
		return
	}
	for _, st := range s.streams {
		st.beat = nil
	}
	s.conn.send(heartbeatFrame(oldest))
}

// bye tells the client when to come back.
func (s *liveSession) bye(why *closing) {
	if why.code == codeRestart || why.code == codeSlow {
		s.conn.send(byeFrame(why.reason, s.conn.server.retryAfter()))
	}
}

func (s *liveSession) end() {
	for _, st := range s.streams {
		st.sub.Close()
	}
}

func (s *liveSession) panicked() *closing { return closeWith(codeCrashed, "internal error") }

// budget bounds how often something may happen: a burst, and a rate in the long run.
type budget struct {
	left float64
	at   time.Time
}

// take tells whether it may happen once more now.
func (b *budget) take(now time.Time) bool {
	b.left = min(opsBurst, b.left+opsPerSec*now.Sub(b.at).Seconds())
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
