package listen

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openListener(t *testing.T, host string, port int) net.Listener {
	t.Helper()
	ln, err := Open(t.Context(), host, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// reachable reports whether a connection to an address is accepted by ln.
func reachable(t *testing.T, ln net.Listener, host string) bool {
	t.Helper()
	client, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(portOf(ln))))
	if err != nil {
		return false
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if got, want := server.RemoteAddr().String(), client.LocalAddr().String(); got != want {
		t.Errorf("accepted a connection from %s, want %s", got, want)
	}
	if _, ok := server.(*net.TCPConn); !ok {
		t.Errorf("accepted a %T, want a *net.TCPConn", server)
	}
	return true
}

func hasIPv6(t *testing.T) bool {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 here: %v", err)
		return false
	}
	return ln.Close() == nil
}

func TestOpenBindsTheAddressesOfItsHost(t *testing.T) {
	ipv6 := hasIPv6(t)
	for _, tt := range []struct {
		host       string
		v4, v6, o4 bool // reached on 127.0.0.1, ::1, 127.0.0.2
	}{
		{"", true, true, false},
		{"localhost", true, true, false},
		{"LocalHost", true, true, false},
		{"127.0.0.1", true, false, false},
		{"127.0.0.2", false, false, true},
		{"::1", false, true, false},
		{"[::1]", false, true, false},
		{"0.0.0.0", true, false, true},
		{"*", true, true, true},
		{"::", true, true, true},
	} {
		t.Run(tt.host, func(t *testing.T) {
			if !ipv6 && strings.Contains(tt.host, ":") {
				return
			}
			ln := openListener(t, tt.host, 0)
			got := []bool{reachable(t, ln, "127.0.0.1"), reachable(t, ln, "::1"), reachable(t, ln, "127.0.0.2")}
			if diff := cmp.Diff([]bool{tt.v4, tt.v6 && ipv6, tt.o4}, got); diff != "" {
				t.Errorf("reached on 127.0.0.1, ::1, 127.0.0.2 (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"": true, "localhost": true, "Localhost": true, "127.0.0.1": true, "127.8.9.10": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"0.0.0.0": false, "::": false, "*": false, "10.0.0.1": false, "example.org": false, "localhost.example.org": false, "127.0.0.1.example.org": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) = %t, want %t", host, got, want)
		}
	}
}

func TestOpenRefusesATakenPort(t *testing.T) {
	for _, taken := range []string{"127.0.0.1", "::1"} {
		if taken == "::1" && !hasIPv6(t) {
			continue
		}
		first := openListener(t, taken, 0)
		if ln, err := Open(t.Context(), "", portOf(first)); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("port taken on %s: got %v, %v, want EADDRINUSE", taken, ln, err)
		}
		// 127.0.0.1 is free again after a failure on ::1.
		if taken == "::1" {
			openListener(t, "127.0.0.1", portOf(first))
		}
	}
}

func TestOpenReportsAnUnknownHost(t *testing.T) {
	if ln, err := Open(t.Context(), "no-such-host.invalid", 0); err == nil {
		t.Errorf("opened %s", ln.Addr())
	}
}

func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	ln := openListener(t, "", 0)
	accepted := make(chan error, 1)
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	time.Sleep(20 * time.Millisecond) // the connection is accepted ahead, and not handed out
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := ln.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that was not handed out is still open")
	}
	go func() { _, err := ln.Accept(); accepted <- err }()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want %v", err, net.ErrClosed)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
}

func TestCloseWakesAccept(t *testing.T) {
	ln := openListener(t, "", 0)
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept while closing: %v, want %v", err, net.ErrClosed)
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	_ = ln.Close()
	waiting.Wait()
}

// scripted is a listener whose Accept fails until it may succeed.
type scripted struct {
	err    error
	until  time.Time
	tries  atomic.Int64
	closed context.Context
	close  context.CancelFunc
}

func newScripted(err error, lasting time.Duration) *scripted {
	s := &scripted{err: err, until: time.Now().Add(lasting)}
	s.closed, s.close = context.WithCancel(context.Background())
	return s
}

func (s *scripted) Accept() (net.Conn, error) {
	s.tries.Add(1)
	if time.Now().Before(s.until) {
		return nil, &net.OpError{Op: "accept", Err: s.err}
	}
	if s.tries.Load() > 100 {
		<-s.closed.Done()
		return nil, net.ErrClosed
	}
	s.tries.Store(101)
	conn, _ := net.Pipe()
	return conn, nil
}

func (s *scripted) Close() error   { s.close(); return nil }
func (s *scripted) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptWaitsOutAShortage(t *testing.T) {
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS} {
		synctest.Test(t, func(t *testing.T) {
			short := newScripted(shortage, 10*time.Second)
			m := newMerged([]net.Listener{short, newScripted(nil, 0)})
			defer m.Close()
			began := time.Now()
			if _, err := m.Accept(); err != nil || time.Since(began) != 0 {
				t.Errorf("the other listener: %v after %s", err, time.Since(began))
			}
			time.Sleep(5 * time.Second)
			if n := short.tries.Load(); n > 30 {
				t.Errorf("%v: %d attempts in 5 s", shortage, n)
			}
			if _, err := m.Accept(); err != nil {
				t.Errorf("after the shortage: %v", err)
			}
		})
	}
}

func TestCloseEndsTheWaitOfAShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMerged([]net.Listener{newScripted(syscall.EMFILE, time.Hour)})
		time.Sleep(time.Minute)
		began := time.Now()
		if _ = m.Close(); time.Since(began) != 0 {
			t.Errorf("Close took %s", time.Since(began))
		}
	})
}

func TestAcceptReportsALastingFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMerged([]net.Listener{newScripted(syscall.EBADF, time.Hour)})
		defer m.Close()
		if _, err := m.Accept(); !errors.Is(err, syscall.EBADF) {
			t.Errorf("got %v, want %v", err, syscall.EBADF)
		}
	})
}
