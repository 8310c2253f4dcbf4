package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// tlsListener makes the connections of a listener speak TLS.
type tlsListener struct {
	net.Listener
	config  *tls.Config
	timeout time.Duration // of a handshake
	lg      *slog.Logger
}

// Accept returns a connection that has not shaken hands yet.
func (l *tlsListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	secure := tls.Server(raw, l.config)
	return &tlsConn{Conn: secure, secure: secure, raw: raw, timeout: l.timeout, lg: l.lg}, nil
}

// tlsConn is the server's end of a TLS connection. It shakes hands in the first of Handshake, ConnectionState, Read and
// Write; the others wait for it. fasthttp recognizes TLS by the methods Handshake and ConnectionState, net/http by
// ConnectionState. A *tls.Conn would not do: net/http and fasthttp would each shake hands in their own way, and fasthttp
// would neither answer plain HTTP nor be silent about port scans.
type tlsConn struct {
	net.Conn // secure
	secure   *tls.Conn
	raw      net.Conn
	timeout  time.Duration
	lg       *slog.Logger

	once sync.Once
	err  error // of the handshake; written in once
}

// Handshake shakes hands with the client if that has not happened yet, and returns its result.
func (c *tlsConn) Handshake() error {
	c.once.Do(func() {
		if c.err = c.tryHandshake(); c.err != nil {
			c.lg.Debug("TLS handshake failed", "client", c.RemoteAddr().String(), "err", c.err)
		}
	})
	return c.err
}

// ConnectionState returns the result of the handshake, the zero state if it failed.
func (c *tlsConn) ConnectionState() tls.ConnectionState {
	if c.Handshake() != nil {
		return tls.ConnectionState{}
	}
	return c.secure.ConnectionState()
}

// Read returns io.EOF after a failed handshake, so that servers end the connection without an answer or a log line.
func (c *tlsConn) Read(p []byte) (int, error) {
	if c.Handshake() != nil {
		return 0, io.EOF
	}
	return c.secure.Read(p)
}

// Write returns the error of a failed handshake.
func (c *tlsConn) Write(p []byte) (int, error) {
	if err := c.Handshake(); err != nil {
		return 0, err
	}
	return c.secure.Write(p)
}

// tryHandshake ends the connection if the client takes too long, also if the server sets no deadline.
func (c *tlsConn) tryHandshake() error {
	timer := time.AfterFunc(c.timeout, func() { _ = c.raw.Close() }) // the handshake reports it
	err := c.secure.Handshake()
	if !timer.Stop() {
		return fmt.Errorf("the client took more than %s: %w", c.timeout, errors.Join(err, net.ErrClosed))
	}
	if notTLS, ok := errors.AsType[tls.RecordHeaderError](err); ok && isHTTP(notTLS.RecordHeader) {
		answerPlainHTTP(c.raw)
		return errors.New("the client spoke plain HTTP")
	}
	return err
}

// isHTTP reports whether a connection's first bytes begin a request of HTTP.
func isHTTP(start [5]byte) bool {
	methods := []string{"GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO", "TRACE", "CONNE"}
	return slices.Contains(methods, string(start[:]))
}

const plainHTTPAnswer = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
	"this port speaks HTTPS: write https:// in place of http://\n"

// Bounds of an answer in plain HTTP, and of the request that is read and discarded after it: closing a connection with
// unread bytes would make the client's kernel discard the answer.
const (
	plainHTTPTime  = time.Second
	plainHTTPBytes = 1 << 20
)

// answerPlainHTTP tries to answer a client and ends its connection; errors mean that the client is gone.
func answerPlainHTTP(raw net.Conn) {
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(plainHTTPTime))
	if _, err := io.WriteString(raw, plainHTTPAnswer); err != nil {
		return
	}
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, raw, plainHTTPBytes)
	}
}
