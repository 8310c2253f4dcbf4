package socket

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"
)

// linger is how long a client may take to answer our close frame.
const linger = time.Second

// turn is how many frames a session writes before the writer looks at what else there is.
const turn = 16

// session is a subprotocol on one connection.
type session interface {
	// hello runs first, in the writer: it may write, or end the connection at once. within is how long the
	// client has until ready.
	hello() (within time.Duration, late *closing)
	// receive takes one message of the client, in the reader.
	receive(text []byte) error
	// ready tells whether the client has asked for something in time.
	ready() bool
	// pull writes up to n frames of what streams have now, in the writer; more tells whether there may be
	// others.
	pull(n int) (more bool)
	// bye runs last in the writer, before the close frame.
	bye(why *closing)
	// end releases what the session holds; reader and writer have ended.
	end()
	// panicked is how the connection closes when we made a mistake.
	panicked() *closing
}

// conn is one connection. The goroutine of the handler reads, the writer's writes; ctx ends with the cause
// why it closes.
type conn struct {
	server   *Server
	ws       *websocket.Conn
	protocol string
	ip       string
	ctx      context.Context
	cancel   context.CancelCauseFunc
	tasks    chan func()   // for the writer to run
	wake     chan struct{} // streams may have something

	mu     sync.Mutex // guards the read deadline
	closed bool       // the close frame is sent: only linger is left
}

func newConn(s *Server, ws *websocket.Conn, protocol, ip string) *conn {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &conn{server: s, ws: ws, protocol: protocol, ip: ip, ctx: ctx, cancel: cancel, tasks: make(chan func()), wake: make(chan struct{}, 1)}
}

// serve runs a connection to its end.
func (s *Server) serve(c *conn, r *request, begin func(*conn) session) {
	defer c.cancel(errGone)
	var sess session = refused{}
	why := c.welcome(r)
	if why == nil {
		if s.conns.add(c) != "" {
			why = closeWith(codeTooMany, "no room for another connection; come back later")
		} else {
			defer s.conns.remove(c)
		}
	}
	if why == nil {
		sess = begin(c)
	} else {
		c.cancel(why)
	}
	gauge := s.metrics.connections.WithLabelValues(c.protocol)
	gauge.Inc()
	defer gauge.Dec()

	var writer sync.WaitGroup
	writer.Go(func() { c.write(sess) })
	defer func() {
		c.cancel(errGone)
		writer.Wait()
		sess.end()
		s.metrics.closed.WithLabelValues(c.protocol, cause(context.Cause(c.ctx))).Inc()
	}()
	c.read(sess)
}

// welcome refuses a client that does not speak our subprotocol. On /ws one that names none is taken to.
func (c *conn) welcome(r *request) *closing {
	if len(r.offered) == 0 && c.protocol == liveProtocol {
		return nil
	}
	for _, name := range r.offered {
		if name == c.protocol {
			return nil
		}
	}
	return closeWith(codeSubprotocol, "Subprotocol not acceptable: this endpoint speaks %s", c.protocol)
}

// cause names what ended a connection, for metrics.
func cause(err error) string {
	if why, ok := errors.AsType[*closing](err); ok {
		return strconv.Itoa(why.code)
	}
	if errors.Is(err, errStuck) {
		return "stuck"
	}
	return "gone"
}

// read takes the client's messages until the connection ends.
func (c *conn) read(sess session) {
	c.ws.SetReadLimit(maxFrame)
	c.ws.SetPongHandler(func(string) error { c.alive(); return nil })
	c.ws.SetPingHandler(func(data string) error {
		c.alive()
		// The writer may hold the socket; then this waits. A failed write shows there.
		_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.server.cfg.WriteTimeout))
		return nil
	})
	received := c.server.metrics.messages.WithLabelValues(c.protocol, "in")
	for {
		c.alive()
		kind, text, err := c.ws.ReadMessage()
		if err != nil {
			c.drain(err)
			return
		}
		if c.ctx.Err() != nil {
			continue // until the client has seen our close frame
		}
		received.Inc()
		switch {
		case kind != websocket.TextMessage:
			err = closeWith(codeBadMessage, "Invalid message: send JSON as text")
		case !utf8.Valid(text):
			err = closeWith(codeInvalidText, "text is not UTF-8")
		default:
			err = c.receive(sess, text)
		}
		if err != nil {
			c.cancel(err)
		}
	}
}

// receive hands a message to the session. A panic there closes the connection, not the process.
func (c *conn) receive(sess session, text []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.server.lg.Error("reading from a WebSocket panicked", "panic", p, "stack", string(debug.Stack()))
			err = sess.panicked()
		}
	}()
	return sess.receive(text)
}

// alive gives the client time until it must be heard of again.
func (c *conn) alive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.ws.SetReadDeadline(time.Now().Add(c.server.cfg.Silence)) // a broken socket shows at the next read
	}
}

// drain reads on after the library refused a message: closing over unread bytes would reset the connection,
// and the client would not see the close frame that says why.
func (c *conn) drain(err error) {
	if _, ended := errors.AsType[*websocket.CloseError](err); ended || c.ctx.Err() != nil {
		return
	}
	c.cancel(errGone)
	raw := c.ws.NetConn()
	_ = raw.SetReadDeadline(time.Now().Add(linger))
	_, _ = io.Copy(io.Discard, io.LimitReader(raw, 16<<20))
}

// do has the writer run a task; false when the connection ended before.
func (c *conn) do(task func()) bool {
	select {
	case c.tasks <- task:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// write owns the socket until the connection ends.
func (c *conn) write(sess session) {
	defer func() {
		if p := recover(); p != nil {
			c.server.lg.Error("writing to a WebSocket panicked", "panic", p, "stack", string(debug.Stack()))
			c.cancel(sess.panicked())
			c.finish(refused{})
		}
	}()
	c.serveStreams(sess)
	c.finish(sess)
}

// serveStreams writes what there is to write until the connection's context ends.
func (c *conn) serveStreams(sess session) {
	ping := time.NewTicker(c.server.cfg.Ping)
	defer ping.Stop()
	within, late := sess.hello()
	patience := time.NewTimer(within)
	defer patience.Stop()
	again := make(chan struct{})
	close(again)
	var more <-chan struct{} // ready while streams have more
	for c.ctx.Err() == nil {
		select {
		case <-c.ctx.Done():
		case task := <-c.tasks:
			task()
		case <-c.wake:
			more = again
		case <-more:
			if !sess.pull(turn) {
				more = nil
			}
		case <-ping.C:
			if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.server.cfg.WriteTimeout)); err != nil {
				c.cancel(errStuck)
			}
		case <-patience.C:
			if !sess.ready() {
				c.cancel(late)
			}
		}
	}
}

// finish says goodbye, if there is someone to hear it, and gives the reader until the client has answered.
func (c *conn) finish(sess session) {
	c.mu.Lock()
	c.closed = true
	_ = c.ws.SetReadDeadline(time.Now().Add(linger))
	c.mu.Unlock()
	why, ok := errors.AsType[*closing](context.Cause(c.ctx))
	if !ok {
		if errors.Is(context.Cause(c.ctx), errStuck) {
			_ = c.ws.SetReadDeadline(time.Now())
		}
		return
	}
	sess.bye(why)
	text := websocket.FormatCloseMessage(why.code, why.reason)
	_ = c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(linger))
	_ = c.ws.SetReadDeadline(time.Now().Add(linger))
}

// send writes a message; only the writer may. A client that does not take it in time is cut off.
func (c *conn) send(text []byte) {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
	if err := c.ws.WriteMessage(websocket.TextMessage, text); err != nil {
		c.cancel(errStuck)
		return
	}
	c.server.metrics.messages.WithLabelValues(c.protocol, "out").Inc()
	c.server.metrics.bytes.WithLabelValues(c.protocol).Add(float64(len(text)))
}

// cut ends the connection without a word.
func (c *conn) cut() {
	c.cancel(errGone)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.ws.NetConn().SetDeadline(time.Unix(1, 0))
}

// refused is the session of a connection that is closed at once.
type refused struct{}

func (refused) hello() (time.Duration, *closing) { return time.Hour, nil }
func (refused) receive([]byte) error             { return nil }
func (refused) ready() bool                      { return true }
func (refused) pull(int) bool                    { return false }
func (refused) bye(*closing)                     {}
func (refused) end()                             {}
func (refused) panicked() *closing               { return closeWith(codeCrashed, "internal error") }
