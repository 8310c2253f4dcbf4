package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

const (
	loopback4 = "127.0.0.1"
	loopback6 = "::1"

	portTries = 20 // to find a free port on both loopback addresses
)

// Open listens for TCP connections on a host and a port; port 0 takes a free one. The host is
//
//   - "" or "localhost": 127.0.0.1 and ::1 with the same port, 127.0.0.1 alone on a machine without IPv6
//   - "*" or "::": all interfaces
//   - "0.0.0.0": all interfaces, IPv4 only
//   - an address or a name: this address, or the first address of the name
//
// ctx bounds the lookup of a name. The listener's Addr is the IPv4 address if there are two. Accept returns connections
// of type *net.TCPConn and waits out a shortage of files or memory. Close closes everything, waits for the goroutines of
// the listener, and may be called again; Accept then returns net.ErrClosed. Before Open no goroutine runs.
func Open(ctx context.Context, host string, port int) (net.Listener, error) {
	all, err := bindHost(ctx, strings.Trim(host, "[]"), port)
	if err != nil {
		return nil, err
	}
	return newMerged(all), nil
}

// IsLoopback reports whether Open listens for connections from this machine only. A name other than localhost may be
// any address, so it does not count as loopback.
func IsLoopback(host string) bool {
	host = strings.Trim(host, "[]")
	if isLocal(host) {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

func isLocal(host string) bool { return host == "" || strings.EqualFold(host, "localhost") }

func bindHost(ctx context.Context, host string, port int) ([]net.Listener, error) {
	network := "tcp"
	switch {
	case isLocal(host):
		return bindLoopback(ctx, port)
	case host == "*":
		host = ""
	case host == "0.0.0.0":
		network = "tcp4" // else Go binds IPv6 as well
	}
	ln, err := bindAddress(ctx, network, host, port)
	return []net.Listener{ln}, err
}

// bindLoopback binds both loopback addresses with the same port.
func bindLoopback(ctx context.Context, port int) ([]net.Listener, error) {
	for try := 1; ; try++ {
		first, err := bindAddress(ctx, "tcp4", loopback4, port)
		if err != nil {
			return nil, err
		}
		second, err := bindAddress(ctx, "tcp6", loopback6, first.Addr().(*net.TCPAddr).Port)
		switch {
		case err == nil:
			return []net.Listener{first, second}, nil
		case lacksIPv6(err):
			return []net.Listener{first}, nil
		}
		_ = first.Close() // nothing was accepted
		if port != 0 || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
}

// lacksIPv6 reports whether binding ::1 failed because the machine has no such address.
func lacksIPv6(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

func bindAddress(ctx context.Context, network, host string, port int) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, network, net.JoinHostPort(host, strconv.Itoa(port)))
}
