package eventstest

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"telemetry-pipeline/events/eventlog"
)

// Paths are several proxies to one etcd, which a client uses as its members: each stands for the connection to one member,
// and can become a black hole, in which data vanishes while all connections stay open.
type Paths struct{ all []*path }

type path struct {
	ln net.Listener
	to string // unix socket
	wg sync.WaitGroup

	mu   sync.Mutex
	open chan struct{} // closed while the path is not a black hole
}

// NewPaths opens n paths to the server until tb ends.
func (s *Server) NewPaths(tb testing.TB, n int) *Paths {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var p Paths
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		one := &path{ln: ln, to: s.socketPath(), open: make(chan struct{})}
		close(one.open)
		one.wg.Go(func() { one.acceptAll(ctx) })
		p.all = append(p.all, one)
	}
	tb.Cleanup(func() {
		cancel()
		for _, one := range p.all {
			_ = one.ln.Close() // accept ends by it
			one.wg.Wait()
		}
	})
	return &p
}

// Config returns cfg with the paths as etcd's members.
func (p *Paths) Config(cfg eventlog.Config) eventlog.Config {
	var all []string
	for _, one := range p.all {
		all = append(all, "http://"+one.ln.Addr().String())
	}
	cfg.Endpoints = strings.Join(all, ",")
	return cfg
}

// Block makes the i-th path a black hole. Heal ends it: data sent meanwhile then arrives.
func (p *Paths) Block(i int) {
	one := p.all[i]
	one.mu.Lock()
	defer one.mu.Unlock()
	one.open = make(chan struct{})
}

// Unblock ends a Hole.
func (p *Paths) Unblock(i int) {
	one := p.all[i]
	one.mu.Lock()
	defer one.mu.Unlock()
	close(one.open)
}

func (p *path) acceptAll(ctx context.Context) {
	for {
		from, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.proxyConn(ctx, from) })
	}
}

// proxyConn copies bytes both ways until one end closes or ctx ends.
func (p *path) proxyConn(ctx context.Context, from net.Conn) {
	to, err := net.Dial("unix", p.to)
	if err != nil {
		_ = from.Close() // the caller sees the end
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _, _ = from.Close(), to.Close() }()
	defer context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })()
	var wg sync.WaitGroup
	wg.Go(func() { defer cancel(); p.copyBytes(ctx, to, from) })
	wg.Go(func() { defer cancel(); p.copyBytes(ctx, from, to) })
	wg.Wait()
}

func (p *path) copyBytes(ctx context.Context, to io.Writer, from io.Reader) {
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		p.mu.Lock()
		open := p.open
		p.mu.Unlock()
		select {
		case <-open:
		case <-ctx.Done():
			return
		}
		if _, failed := to.Write(piece[:n]); err != nil || failed != nil {
			return
		}
	}
}
