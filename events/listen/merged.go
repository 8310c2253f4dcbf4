package listen

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"telemetry-pipeline/events/wait"
)

// merged is one listener made of several. A goroutine for each of them accepts one connection ahead.
type merged struct {
	all      []net.Listener
	accepted chan result
	closing  context.Context // ends when Close is called
	close    func() error    // the first call closes; later calls return the same error
}

type result struct {
	conn net.Conn
	err  error
}

func newMerged(all []net.Listener) *merged {
	closing, stop := context.WithCancel(context.Background())
	m := &merged{all: all, accepted: make(chan result), closing: closing}
	var accepting sync.WaitGroup
	for _, ln := range all {
		accepting.Go(func() { m.runAccepts(ln) })
	}
	m.close = sync.OnceValue(func() error {
		stop()
		var errs []error
		for _, ln := range all {
			errs = append(errs, ln.Close())
		}
		accepting.Wait()
		return errors.Join(errs...)
	})
	return m
}

// Accept returns the next connection of any of the listeners.
func (m *merged) Accept() (net.Conn, error) {
	select {
	case r := <-m.accepted:
		return r.conn, r.err
	case <-m.closing.Done():
		return nil, net.ErrClosed
	}
}

// Close closes all listeners and the connections that were accepted ahead.
func (m *merged) Close() error { return m.close() }

// Addr returns the address of the first listener.
func (m *merged) Addr() net.Addr { return m.all[0].Addr() }

// runAccepts hands out the connections of one listener, until it is closed or fails for good.
func (m *merged) runAccepts(ln net.Listener) {
	backoff := wait.Backoff{Least: 5 * time.Millisecond, Most: time.Second}
	for {
		conn, err := ln.Accept()
		if isShortage(err) && backoff.Wait(m.closing) {
			continue
		}
		select {
		case m.accepted <- result{conn, err}:
		case <-m.closing.Done():
			if err == nil {
				_ = conn.Close() // nobody has seen it
			}
			return
		}
		if err != nil {
			return
		}
		backoff.Reset()
	}
}

// isShortage reports whether an error of accepting passes when others free files or memory.
func isShortage(err error) bool {
	temporary, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && temporary.Temporary() || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}
