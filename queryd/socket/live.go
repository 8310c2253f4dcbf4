package socket

import (
	"encoding/json"
	"errors"
	"log/slog"
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
	subs       []*subscribed
	streams    []*stream
	look       *time.Timer // nil: no subscription lacks a cluster
	lookAt     time.Time
	turn       int  // index of the stream served last
	subscribed bool // there was a sub
	phase      int  // of the streams' heartbeats; 0 before the first one
	ops        tokenBucket
}

// stream is one subscription of a client, of several clusters its part of one.
type stream struct {
	id        string
	of        *subscribed
	cluster   string // "" where there is one
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
	From     positions  `json:"from"`
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
	feeds, away, err := c.feeds()
	switch {
	case err != nil:
		c.cancel(closeWith(codeRestart, "%v", live.ErrTooManyScopes))
	case c.server.cfg.Clusters != nil:
		c.sendText(clustersHelloFrame(feeds, away, c.server.cfg))
	default:
		feed := feeds[0].Feed
		c.sendText(helloFrame(feed.State(), feed.Heartbeat(), c.server.cfg))
	}
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
	case s.findSubscription(req.ID) >= 0:
		c.cancel(closeWith(codeDuplicate, "Subscriber for %s already exists", req.ID))
		return
	case len(s.subs) >= c.server.cfg.Subscriptions:
		c.sendText(errFrame(req.ID, "too_many", "too many subscriptions on this connection; unsub one first"))
		return
	case !c.share.enterOperation(c.server.cfg.PerCaller):
		c.sendText(errFrame(req.ID, "too_many", "you have too many subscriptions on all connections; unsub one first"))
		return
	}
	sub := &subscribed{id: req.ID, at: req.From, options: live.Options{
		Filter:   live.Filter{Hosts: req.Filter.Host, GPUs: req.Filter.GPU, Metrics: s.canonicalMetrics(req.Filter.Metric)},
		Mode:     live.Mode(req.Mode),
		Hz:       req.Hz,
		Snapshot: req.Snapshot == nil || *req.Snapshot,
		Wake:     c.wake,
	}}
	err := s.join(sub)
	if err != nil {
		s.closeStreams(sub)
	}
	switch {
	case errors.Is(err, live.ErrClosed), errors.Is(err, live.ErrTooManyScopes):
		c.share.leaveOperations(1)
		s.closeOnEnd(err)
	case err != nil:
		c.share.leaveOperations(1)
		c.sendText(errFrame(req.ID, "bad_option", strings.TrimPrefix(err.Error(), "subscribing: ")))
	default:
		s.subs = append(s.subs, sub)
	}
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
	i := s.findSubscription(req.ID)
	if i < 0 {
		s.conn.sendText(errFrame(req.ID, "unknown_id", "no such subscription"))
		return
	}
	s.closeStreams(s.subs[i])
	s.conn.share.leaveOperations(1)
	s.subs = slices.Delete(s.subs, i, i+1)
	s.conn.wake.Set()
}

// closeStreams ends the streams of a subscription.
func (s *liveSession) closeStreams(sub *subscribed) {
	s.streams = slices.DeleteFunc(s.streams, func(st *stream) bool {
		if st.of == sub {
			st.sub.Close()
		}
		return st.of == sub
	})
}

func (s *liveSession) findSubscription(id string) int {
	return slices.IndexFunc(s.subs, func(sub *subscribed) bool { return sub.id == id })
}

// writeFrames writes the streams' messages, one message each in turn.
func (s *liveSession) writeFrames(n int) (more bool) {
	s.joinMissing()
	for idle := 0; idle < len(s.streams); {
		if n == 0 {
			return true
		}
		s.turn = (s.turn + 1) % len(s.streams)
		st := s.streams[s.turn]
		m, err := st.sub.Poll()
		if errors.Is(err, live.ErrClosed) && st.cluster != "" {
			s.dropStream(st)
			continue
		}
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
	st.notePosition(m)
	s.pushFrame(st, m)
}

// pushFrame sends a message, and records that as the push of the traces that led to it.
func (s *liveSession) pushFrame(st *stream, m *live.Message) {
	ctx, push := s.conn.server.cfg.Tracer.StartLinked(s.conn.ctx, "push", time.Now(), m.TakeTraces())
	push.SetText("telemetry.stream", "live")
	defer push.End(nil)
	sendFrame(s.conn, st, m)
	s.conn.server.lg.LogAttrs(ctx, slog.LevelDebug, "pushed", slog.String("stream", "live"), slog.Int64("revision", m.At.Number))
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

// notePosition notes the position in one of several clusters.
func (st *stream) notePosition(m *live.Message) {
	if st.cluster == "" || m.Token == "" {
		return
	}
	if st.of.at.in == nil {
		st.of.at.in = make(map[string]live.Token)
	}
	st.of.at.in[st.cluster] = m.Token
}

// writeHeartbeat writes a heartbeat for the whole connection, of several clusters for each, once every stream has one: the oldest
// position counts.
func (s *liveSession) writeHeartbeat() {
	var last string
	for i, st := range s.streams {
		if i == 0 || st.cluster != last { // streams of a subscription are in the order of their clusters; twice does no harm
			s.writeHeartbeatOf(st.cluster)
		}
		last = st.cluster
	}
}

func (s *liveSession) writeHeartbeatOf(cluster string) {
	var oldest *live.Message
	for _, st := range s.streams {
		switch {
		case st.cluster != cluster:
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
		if st.cluster == cluster {
			st.heartbeat = nil
		}
	}
	s.conn.sendText(oldest.Encoded(liveProtocol, func(m *live.Message) []byte { return heartbeatFrame(m, cluster) }))
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
	if len(s.subs) > 0 {
		s.conn.share.leaveOperations(len(s.subs))
	}
	if s.look != nil {
		s.look.Stop()
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
