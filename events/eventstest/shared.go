package eventstest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
)

// shared is the etcd that the tests of one binary share. It is a global variable because a testing.M cannot pass a value to
// its tests.
var shared struct {
	mu     sync.Mutex
	open   bool // while Main runs
	server *Server
}

// Main runs the tests of a binary that share one etcd, and stops it after them:
//
//	func TestMain(m *testing.M) { eventstest.Main(m) }
//
// The server starts with the first test that asks for it.
func Main(m *testing.M) {
	shared.mu.Lock()
	shared.open = true
	shared.mu.Unlock()
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if s := shared.server; s != nil {
		if err := s.stopAndRemove(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the test etcd:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// OverlapTests has twice as many parallel tests run at once as the Go runtime has processors, unless -parallel says
// otherwise. It is for the TestMain of a package whose parallel tests mostly wait.
func OverlapTests() {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" }) // if flags are parsed already
	if !set {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))) // the flag takes any number above 0
	}
}

// Shared returns the etcd that this binary's tests share.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.open {
		tb.Fatal("this package's tests share an etcd: add func TestMain(m *testing.M) { eventstest.Main(m) }")
	}
	if shared.server == nil {
		s, err := startServer(nil)
		if err != nil {
			tb.Fatal(err)
		}
		shared.server = s
	}
	return shared.server
}

// Config returns settings for a log of tb's own on the shared etcd: each call returns a unique root.
func Config(tb testing.TB) eventlog.Config {
	tb.Helper()
	return Shared(tb).Config(tb)
}

// Etcd returns a client of the shared etcd that is closed when tb ends.
func Etcd(tb testing.TB) *clientv3.Client {
	tb.Helper()
	return Shared(tb).Client(tb)
}

// OpenLog returns a log that is closed when tb ends.
func OpenLog(tb testing.TB, cfg eventlog.Config) *eventlog.Log {
	tb.Helper()
	l, err := eventlog.Open(tb.Context(), cfg, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}

var roots atomic.Int64

// uniqueRoot returns a prefix made of a test's name, readable in a dump and unique to the test.
func uniqueRoot(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, name)
	return fmt.Sprintf("/%s-%d", plain, roots.Add(1))
}
