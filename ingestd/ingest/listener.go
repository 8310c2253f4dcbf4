package ingest

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/listen"
)

// A server that answers while its client still sends, and then closes, makes the client's kernel discard the answer:
// unread bytes turn the close into a reset. So after a refusal in the middle of a body the connection closes its own
// side, reads on for a moment, and only then closes.
const lingerTime = 2 * time.Second

// listener knows the connections that it handed out.
type listener struct {
	net.Listener
	mu   sync.Mutex
	open map[string]*conn // by remote address
}

func openListener(ctx context.Context, cfg Config) (*listener, error) {
	ln, err := listen.Open(ctx, cfg.Host, cfg.Port.Number())
	if err != nil {
		return nil, err
	}
	return &listener{Listener: ln, open: map[string]*conn{}}, nil
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	own := &conn{TCPConn: c.(*net.TCPConn), owner: l, gone: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c.RemoteAddr().String()] = own
	return own, nil
}

// markGentle lets the connection from a remote address close gently when its time comes.
func (l *listener) markGentle(remote net.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.open[remote.String()]; ok {
		c.gentle.Store(true)
	}
}

func (l *listener) removeConn(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if remote := c.RemoteAddr().String(); l.open[remote] == c {
		delete(l.open, remote)
	}
}

func (l *listener) openConns() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*conn, 0, len(l.open))
	for _, c := range l.open {
		all = append(all, c)
	}
	return all
}

// closeConns waits until the connections are closed, and cuts those that are not when ctx ends.
func (l *listener) closeConns(ctx context.Context) {
	for _, c := range l.openConns() {
		select {
		case <-c.gone:
		case <-ctx.Done():
			_ = c.TCPConn.Close() // its Close is under way or will find it closed
		}
	}
}

type conn struct {
	*net.TCPConn
	owner  *listener
	gentle atomic.Bool
	closed atomic.Bool
	gone   chan struct{}
}

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	defer close(c.gone)
	defer c.owner.removeConn(c)
	if c.gentle.Load() {
		c.closeOwnSide()
	}
	return c.TCPConn.Close()
}

// closeOwnSide ends our side of the connection and discards the client's bytes for a while.
func (c *conn) closeOwnSide() {
	if c.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, c.TCPConn) // an error means that the client is gone
}
