package socket

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/fasthttp/websocket"
)

// runWriter owns the socket until the connection ends.
func (c *conn) runWriter(sess session) {
	defer func() {
		if p := recover(); p != nil {
			c.server.lg.ErrorContext(c.ctx, "writing to a WebSocket panicked", "panic", p, "stack", string(debug.Stack()))
			c.cancel(sess.panicClosing())
			c.finishClosing(refusedSession{})
		}
	}()
	c.serveStreams(sess)
	c.finishClosing(sess)
}

// serveStreams writes the streams' messages until the connection's context ends.
func (c *conn) serveStreams(sess session) {
	ping := time.NewTimer(rand.N(c.server.cfg.Ping)) // clients that came together are not pinged together
	defer ping.Stop()
	within, late := sess.startSession()
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
		case <-c.wake.C():
			more = again
		case <-more:
			if !sess.writeFrames(framesPerTurn) {
				more = nil
			}
		case <-ping.C:
			ping.Reset(c.server.cfg.Ping)
			if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.server.cfg.WriteTimeout)); err != nil {
				c.cancel(errStuck)
			}
		case <-patience.C:
			if !sess.isReady() {
				c.cancel(late)
			}
		}
	}
}

// finishClosing sends the close frame, if the client can still receive it, and sets the reader's deadline for the
// client's answer.
func (c *conn) finishClosing(sess session) {
	c.mu.Lock()
	c.closed = true
	_ = c.ws.SetReadDeadline(time.Now().Add(linger)) // a broken connection ends the reader anyway
	c.mu.Unlock()
	why, ok := errors.AsType[*closing](context.Cause(c.ctx))
	if !ok {
		if errors.Is(context.Cause(c.ctx), errStuck) {
			_ = c.ws.SetReadDeadline(time.Now()) // a broken connection ends the reader anyway
		}
		return
	}
	sess.sayGoodbye(why)
	text := websocket.FormatCloseMessage(why.code, why.reason)
	_ = c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(linger)) // the client may be gone
	_ = c.ws.SetReadDeadline(time.Now().Add(linger))                            // a broken connection ends the reader anyway
}

// sendText writes a message; only the writer may call it. A client that does not take the message in time is cut off.
func (c *conn) sendText(text []byte) {
	_ = c.ws.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout)) // always nil
	if err := c.ws.WriteMessage(websocket.TextMessage, text); err != nil {
		c.cancel(errStuck)
		return
	}
	c.sent.messages.Inc()
	c.sent.bytes.Add(float64(len(text)))
}

// cutOff ends the connection without a close frame.
func (c *conn) cutOff() {
	c.cancel(errGone)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.ws.NetConn().SetDeadline(time.Unix(1, 0)) // it fails where the connection has ended already
}
