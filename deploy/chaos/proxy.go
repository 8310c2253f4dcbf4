package main

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"telemetry-pipeline/events/wait"
)

// weather is the state of a proxy: its effect on its connections.
type weather struct {
	hole  bool          // accept, deliver nothing: bytes that were sent arrive when the hole closes
	cut   bool          // refuse and break
	delay time.Duration // hold back each piece
}

// proxy stands between one daemon and one member of etcd.
type proxy struct {
	ln     net.Listener
	target string
	tap    *tap // sees the bytes that pass; may be nil
	secure *passage
	wg     sync.WaitGroup

	mu      sync.Mutex
	now     weather
	changed chan struct{} // closed when now changes
	conns   map[*link]bool
}

// passage is the TLS on both sides of a proxy: it shows the daemon the certificate of a member, and the member the certificate of
// the daemon. nil is plain TCP.
type passage struct{ server, client *tls.Config }

// wrap returns the two ends of a link as the proxy reads and writes them.
func (s *passage) wrap(from, to net.Conn) (near, far net.Conn) {
	if s == nil {
		return from, to
	}
	return tls.Server(from, s.server), tls.Client(to, s.client)
}

// link is one connection through a proxy.
type link struct{ from, to net.Conn }

func (l *link) closeLink() { _, _ = l.from.Close(), l.to.Close() } // the effect on the other end is the test

func openProxy(target string, tap *tap, secure *passage) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{ln: ln, target: target, tap: tap, secure: secure, changed: make(chan struct{}), conns: map[*link]bool{}}
	p.wg.Go(p.acceptLinks)
	return p, nil
}

func (p *proxy) address() string { return p.ln.Addr().String() }

func (p *proxy) acceptLinks() {
	for {
		from, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serveLink(from) })
	}
}

// serveLink connects when the weather lets it and copies until one side ends.
func (p *proxy) serveLink(from net.Conn) {
	defer from.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &link{from: from}
	if !p.addLink(l) {
		return
	}
	defer p.removeLink(l)
	if p.awaitOpen(ctx) != nil {
		return
	}
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	p.mu.Lock()
	l.to = to
	p.mu.Unlock()
	defer to.Close()
	var requests, answers io.Writer = io.Discard, io.Discard
	if p.tap != nil {
		seen := p.tap.connection()
		requests, answers = seen.requests, seen.answers
	}
	near, far := p.secure.wrap(from, to)
	var wg sync.WaitGroup
	wg.Go(func() { p.copy(ctx, far, near, requests); l.closeLink() })
	p.copy(ctx, near, far, answers)
	l.closeLink()
	cancel()
	wg.Wait()
}

func (p *proxy) addLink(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.to = l.from // until there is one
	if p.now.cut {
		return false
	}
	p.conns[l] = true
	return true
}

func (p *proxy) removeLink(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, l)
}

// copy moves bytes as the weather lets it; seen is shown each piece
// before it is delivered.
func (p *proxy) copy(ctx context.Context, to io.Writer, from io.Reader, seen io.Writer) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if p.awaitOpen(ctx) != nil {
				return
			}
			_, _ = seen.Write(buf[:n]) // a tap never fails
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitOpen waits out a hole and a delay.
func (p *proxy) awaitOpen(ctx context.Context) error {
	for {
		p.mu.Lock()
		now, changed := p.now, p.changed
		p.mu.Unlock()
		if !now.hole {
			wait.Sleep(ctx, now.delay)
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// setMode changes the weather; a cut breaks the open connections, in a hole too.
func (p *proxy) setMode(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = w
	close(p.changed)
	p.changed = make(chan struct{})
	if w.cut {
		p.breakLocked()
	}
}

func (p *proxy) breakLocked() {
	for l := range p.conns {
		l.closeLink()
	}
}

func (p *proxy) closeAll() {
	_ = p.ln.Close() // it may be closed already
	p.setMode(weather{cut: true})
	p.wg.Wait()
}
