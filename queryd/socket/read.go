package socket

import (
	"errors"
	"io"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"
)

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
