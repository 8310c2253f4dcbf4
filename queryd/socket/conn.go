package socket

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/wait"
)

// linger is the time that a client has to answer the server's close frame.
const linger = time.Second

// framesPerTurn is the number of frames that a session writes before the writer looks at its other work.
const framesPerTurn = 16

// session is a subprotocol on one connection.
type session interface {
	// startSession runs first, in the writer: it may write, or end the connection at once. within is the time that
	// the client has until isReady.
	startSession() (within time.Duration, late *closing)
	// handleMessage handles one message of the client, in the reader.
	handleMessage(text []byte) error
	// isReady reports whether the client has made a request in time.
	isReady() bool
	// writeFrames writes up to n frames of the streams' present messages, in the writer. It reports whether there may
	// be more.
	writeFrames(n int) (more bool)
	// sayGoodbye runs last in the writer, before the close frame.
	sayGoodbye(why *closing)
	// closeSession releases the session's resources; reader and writer have ended.
	closeSession()
	// panicClosing returns the closing after a panic.
	panicClosing() *closing
}

// conn is one connection. The handler's goroutine reads, the writer's goroutine writes; ctx ends with the cause of
// the close.
type conn struct {
	server   *Server
	ws       *websocket.Conn
	protocol string
	request  *request
	ctx      context.Context
	cancel   context.CancelCauseFunc
	tasks    chan func() // for the writer to run
	wake     wait.Signal // streams may have something
	frame    []byte      // the writer's, for the next frame
	sent     sentCounters

	caller    context.Context // set once, before reader and writer start or by the reader, whose tasks the writer runs later; nil while the client is not known
	endCaller func()
	share     *share // of the caller; set with it

	mu     sync.Mutex // guards the read deadline
	closed bool       // the close frame is sent: only linger remains
}

func newConn(s *Server, ws *websocket.Conn, protocol string, r *request) *conn {
	ctx, cancel := context.WithCancelCause(access.WithRequestIDs(context.Background(), r.ids))
	return &conn{server: s, ws: ws, protocol: protocol, request: r, ctx: ctx, cancel: cancel, tasks: make(chan func()), wake: wait.NewSignal(), sent: s.metrics.sentCounters(protocol)}
}

// serveConn runs a connection to its end.
func (s *Server) serveConn(c *conn, r *request, begin func(*conn) session) {
	defer c.cancel(errGone)
	var sess session = refusedSession{}
	why := c.checkSubprotocol(r)
	if why == nil {
		if s.conns.addConn(c) != "" {
			why = closeWith(codeTooMany, "no room for another connection; come back later")
		} else {
			defer s.conns.removeConn(c)
		}
	}
	if why == nil && r.principal != nil {
		why, _ = errors.AsType[*closing](c.setCaller(r.principal))
	}
	defer c.releaseCaller()
	if why == nil {
		sess = begin(c)
	} else {
		c.cancel(why)
	}
	gauge := s.metrics.connections.WithLabelValues(c.protocol)
	gauge.Inc()
	defer gauge.Dec()

	var writer sync.WaitGroup
	writer.Go(func() { c.runWriter(sess) })
	defer func() {
		c.cancel(errGone)
		writer.Wait()
		sess.closeSession()
		s.metrics.closed.WithLabelValues(c.protocol, closeCause(context.Cause(c.ctx))).Inc()
	}()
	c.readMessages(sess)
}

// checkSubprotocol refuses a client that does not speak our subprotocol. On /ws a client that names none speaks ours.
func (c *conn) checkSubprotocol(r *request) *closing {
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

// closeCause returns the cause of a connection's end, for metrics.
func closeCause(err error) string {
	if why, ok := errors.AsType[*closing](err); ok {
		return strconv.Itoa(why.code)
	}
	if errors.Is(err, errStuck) {
		return "stuck"
	}
	return "gone"
}

// refusedSession is the session of a connection that is closed at once.
type refusedSession struct{}

func (refusedSession) startSession() (time.Duration, *closing) { return time.Hour, nil }
func (refusedSession) handleMessage([]byte) error              { return nil }
func (refusedSession) isReady() bool                           { return true }
func (refusedSession) writeFrames(int) bool                    { return false }
func (refusedSession) sayGoodbye(*closing)                     {}
func (refusedSession) closeSession()                           {}
func (refusedSession) panicClosing() *closing                  { return closeWith(codeCrashed, "internal error") }
