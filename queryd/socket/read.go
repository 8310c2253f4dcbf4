package socket

import (
	"errors"
	"io"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"
)

// readMessages reads the client's messages until the connection ends.
func (c *conn) readMessages(sess session) {
	c.ws.SetReadLimit(maxFrame)
	c.ws.SetPongHandler(func(string) error { c.extendDeadline(); return nil })
	c.ws.SetPingHandler(func(data string) error {
		c.extendDeadline()
		// The writer may hold the socket; then this waits. A failed write shows there.
		_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.server.cfg.WriteTimeout))
		return nil
	})
	received := c.server.metrics.messages.WithLabelValues(c.protocol, "in")
	for {
		c.extendDeadline()
		kind, text, err := c.ws.ReadMessage()
		if err != nil {
			c.drainInput(err)
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
			err = c.handleMessage(sess, text)
		}
		if err != nil {
			c.cancel(err)
		}
	}
}

// handleMessage passes a message to the session. A panic there closes the connection, not the process.
func (c *conn) handleMessage(sess session, text []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.server.lg.ErrorContext(c.ctx, "reading from a WebSocket panicked", "panic", p, "stack", string(debug.Stack()))
			err = sess.panicClosing()
		}
	}()
	return sess.handleMessage(text)
}

// extendDeadline restarts the time after which a silent client counts as gone.
func (c *conn) extendDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.ws.SetReadDeadline(time.Now().Add(c.server.cfg.Silence)) // a broken socket shows at the next read
	}
}

// drainInput reads on after the library refused a message: closing over unread bytes would reset the connection, and
// the client would not see the close frame with the reason.
func (c *conn) drainInput(err error) {
	if _, ended := errors.AsType[*websocket.CloseError](err); ended || c.ctx.Err() != nil {
		return
	}
	c.cancel(errGone)
	raw := c.ws.NetConn()
	_ = raw.SetReadDeadline(time.Now().Add(linger))         // the copy shows a connection that has ended
	_, _ = io.Copy(io.Discard, io.LimitReader(raw, 16<<20)) // ends by linger or with the connection
}

// runInWriter runs a task in the writer. It returns false when the connection ended before.
func (c *conn) runInWriter(task func()) bool {
	select {
	case c.tasks <- task:
		return true
	case <-c.ctx.Done():
		return false
	}
}
