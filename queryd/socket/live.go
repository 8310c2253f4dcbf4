package socket

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// liveSession speaks gpu.live.v1. The writer owns it, except ops.
type liveSession struct {
	conn       *conn
	known      bool // the client was known before its first message; not changed
	streams    []*stream
	turn       int  // index of the stream served last
	subscribed bool // there was a sub
	phase      int  // of the streams' heartbeats; 0 before the first one
	ops        tokenBucket
}

// stream is one subscription of a client.
type stream struct {
	id        string
	from      live.Token
	sub       *live.Subscription
	acked     bool
	heartbeat *live.Message // a heartbeat that waits for the other streams' heartbeats
}

func newLiveSession(c *conn) *liveSession {
	return &liveSession{conn: c, known: c.isKnown(), ops: tokenBucket{tokens: opsBurst, refilledAt: time.Now()}}
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
	Token    string     `json:"token"` // of op auth
}

type liveFilter struct {
	Host   []string       `json:"host"`
	GPU    []events.GPUID `json:"gpu"`
	Metric []string       `json:"metric"`
}

// startSession greets a client that is known.
func (s *liveSession) startSession() (time.Duration, *closing) {
	within := s.conn.server.cfg.SubTimeout
	late := closeWith(codeTimeout, "no sub within %v", within)
	if s.known { // the reader may be making it known now
		s.sayHello()
	}
	return within, late
}

// sayHello sends the view's position and the client's limits.
func (s *liveSession) sayHello() {
	c := s.conn
	feed, err := c.feed()
	if err != nil {
		c.cancel(closeWith(codeRestart, "%v", live.ErrTooManyScopes))
		return
	}
	c.sendText(helloFrame(feed.State(), feed.Heartbeat(), c.server.cfg))
}

func (s *liveSession) isReady() bool { return s.subscribed }

// handleMessage parses a client's message and runs its request in the writer.
func (s *liveSession) handleMessage(text []byte) error {
	if !s.ops.takeToken(time.Now()) {
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
	if req.Op == "auth" {
		return s.logIn(req.Token)
	}
	if !s.conn.isKnown() {
		return s.conn.logIn("") // which refuses it, as every request without credentials
	}
	for _, op := range liveOps() {
		if op.name != req.Op {
			continue
		}
		if err := access.PrincipalFrom(s.conn.caller).Check(op.need); err != nil {
			return closeForRefusal(err)
		}
		s.conn.runInWriter(func() { op.run(s, req) })
		return nil
	}
	return closeWith(codeBadMessage, "Invalid message: op is %.20q; send auth, sub, unsub or ping", req.Op)
}

// liveOp is an operation of known clients with the right that it needs; the zero Right is held by nobody.
type liveOp struct {
	name string
	need access.Right
	run  func(s *liveSession, req liveRequest) // in the writer
}

// liveOps returns the operations besides auth.
func liveOps() [3]liveOp {
	return [...]liveOp{
		{"sub", access.Read, (*liveSession).openStream},
		{"unsub", access.Read, (*liveSession).closeStream},
		{"ping", access.Public, (*liveSession).answerPing},
	}
}

// answerPing answers a ping.
func (s *liveSession) answerPing(liveRequest) { s.conn.sendText([]byte(`{"t":"pong"}`)) }

// logIn makes the holder of a token the caller, and greets it.
func (s *liveSession) logIn(token string) error {
	if s.conn.isKnown() {
		return closeWith(codeTooOften, "the client is known already; connect again to be another one")
	}
	if err := s.conn.logIn(token); err != nil {
		return err
	}
	s.conn.runInWriter(s.sayHello)
	return nil
}

// openStream starts a stream, or sends an error.
func (s *liveSession) openStream(req liveRequest) {
	c := s.conn
	s.subscribed = true
	switch {
	case s.findStream(req.ID) >= 0:
		c.cancel(closeWith(codeDuplicate, "Subscriber for %s already exists", req.ID))
		return
	case len(s.streams) >= c.server.cfg.Subscriptions:
		c.sendText(errFrame(req.ID, "too_many", "too many subscriptions on this connection; unsub one first"))
		return
	case !c.share.enterOperation(c.server.cfg.PerCaller):
		c.sendText(errFrame(req.ID, "too_many", "you have too many subscriptions on all connections; unsub one first"))
		return
	}
	sub, err := s.subscribe(live.Options{
		Filter:   live.Filter{Hosts: req.Filter.Host, GPUs: req.Filter.GPU, Metrics: s.canonicalMetrics(req.Filter.Metric)},
		Mode:     live.Mode(req.Mode),
		Hz:       req.Hz,
		Snapshot: req.Snapshot == nil || *req.Snapshot,
		From:     live.Token(req.From),
		Wake:     c.wake,
		Phase:    s.phase,
	})
	switch {
	case errors.Is(err, live.ErrClosed), errors.Is(err, live.ErrTooManyScopes):
		c.share.leaveOperations(1)
		s.closeOnEnd(err)
	case err != nil:
		c.share.leaveOperations(1)
		c.sendText(errFrame(req.ID, "bad_option", strings.TrimPrefix(err.Error(), "subscribing: ")))
	default:
		s.phase = sub.Phase()
		s.streams = append(s.streams, &stream{id: req.ID, from: live.Token(req.From), sub: sub})
		s.conn.wake.Set()
	}
}

// subscribe starts a subscription to the feed of the client's scope.
func (s *liveSession) subscribe(o live.Options) (*live.Subscription, error) {
	feed, err := s.conn.feed()
	if err != nil {
		return nil, err
	}
	return feed.Subscribe(o)
}

// canonicalMetrics returns the view's names of metrics.
func (s *liveSession) canonicalMetrics(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, s.conn.server.cfg.Metric(n))
	}
	return out
}

// closeStream ends a stream.
func (s *liveSession) closeStream(req liveRequest) {
	i := s.findStream(req.ID)
	if i < 0 {
		s.conn.sendText(errFrame(req.ID, "unknown_id", "no such subscription"))
		return
	}
	s.streams[i].sub.Close()
	s.conn.share.leaveOperations(1)
	s.streams = slices.Delete(s.streams, i, i+1)
	s.conn.wake.Set()
}

func (s *liveSession) findStream(id string) int {
	return slices.IndexFunc(s.streams, func(st *stream) bool { return st.id == id })
}

// writeFrames writes the streams' messages, one message each in turn.
func (s *liveSession) writeFrames(n int) (more bool) {
	for idle := 0; idle < len(s.streams); {
		if n == 0 {
			return true
		}
		s.turn = (s.turn + 1) % len(s.streams)
		st := s.streams[s.turn]
		m, err := st.sub.Poll()
		if err != nil {
			s.closeOnEnd(err)
			return false
		}
		if m == nil {
			idle++
			continue
		}
		idle = 0
		n--
		if s.writeMessage(st, m); s.conn.ctx.Err() != nil {
			return false
		}
	}
	s.writeHeartbeat()
	return false
}

// closeOnEnd closes the connection after a stream's hub ended the stream.
func (s *liveSession) closeOnEnd(err error) {
	if errors.Is(err, live.ErrSlow) {
		s.conn.cancel(closeWith(codeSlow, "%v", live.ErrSlow))
		return
	}
	s.conn.cancel(closeWith(codeRestart, "server restarts; resume from the last rev"))
}

// writeMessage writes one message of a stream, behind the ack if it is the first.
func (s *liveSession) writeMessage(st *stream, m *live.Message) {
	if !st.acked {
		st.acked = true
		s.conn.sendText(ackFrame(st, m))
	}
	if m.Kind == live.Heartbeat {
		st.heartbeat = m
		return
	}
	st.advanceHeartbeat(m)
	sendFrame(s.conn, st.id, m)
}

// advanceHeartbeat moves a waiting heartbeat to the position of a message that is sent before it: it must not take
// the client back, nor, after a reset, ahead.
func (st *stream) advanceHeartbeat(m *live.Message) {
	switch {
	case st.heartbeat == nil:
	case m.Kind == live.Reset:
		st.heartbeat = nil
	case m.Token != "":
		st.heartbeat = &live.Message{Kind: live.Heartbeat, Token: m.Token, At: m.At, Folded: m.Folded, AsOf: st.heartbeat.AsOf, Time: st.heartbeat.Time}
	}
}

// writeHeartbeat writes a heartbeat for the whole connection once every stream has one: the oldest position counts.
func (s *liveSession) writeHeartbeat() {
	var oldest *live.Message
	for _, st := range s.streams {
		switch {
		case st.heartbeat == nil:
			return
		case oldest == nil || st.heartbeat.At.Number < oldest.At.Number:
			oldest = st.heartbeat
		}
	}
	if oldest == nil {
		return
	}
	for _, st := range s.streams {
		st.heartbeat = nil
	}
	s.conn.sendText(oldest.Encoded(liveProtocol, heartbeatFrame))
}

// sayGoodbye sends the time after which the client should reconnect.
func (s *liveSession) sayGoodbye(why *closing) {
	if why.code == codeRestart || why.code == codeSlow {
		s.conn.sendText(byeFrame(why.reason, s.conn.server.retryAfter()))
	}
}

func (s *liveSession) closeSession() {
	for _, st := range s.streams {
		st.sub.Close()
	}
	if len(s.streams) > 0 {
		s.conn.share.leaveOperations(len(s.streams))
	}
}

func (s *liveSession) panicClosing() *closing { return closeWith(codeCrashed, "internal error") }

// tokenBucket limits a rate: a burst, and a rate in the long run.
type tokenBucket struct {
	tokens     float64
	refilledAt time.Time
}

// takeToken takes a token and reports whether there was one.
func (b *tokenBucket) takeToken(now time.Time) bool {
	b.tokens = min(opsBurst, b.tokens+opsPerSec*now.Sub(b.refilledAt).Seconds())
	b.refilledAt = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
