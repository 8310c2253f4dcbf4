package eventstest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events/eventlog"
)

// startTimeout is far above the quarter of a second that a start takes on an idle machine.
const startTimeout = time.Minute

// Server is an embedded etcd of one member, tuned for tests: short elections, no fsync, progress every 100
// ms, no log output. It listens on a unix socket in its own directory, so that the code under test speaks gRPC as it would
// to any etcd.
type Server struct {
	dir    string
	adjust func(*embed.Config)
	etcd   *embed.Etcd
	hangUp context.CancelFunc // ends the streams of clients
}

// NewServer starts an etcd of its own for tb and stops it when tb ends. adjust, where not nil, changes its
// configuration: a small quota, MaxTxnOps, MaxRequestBytes.
func NewServer(tb testing.TB, adjust func(*embed.Config)) *Server {
	tb.Helper()
	s, err := startServer(adjust)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.stopAndRemove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func startServer(adjust func(*embed.Config)) (*Server, error) {
	dir, err := os.MkdirTemp("", "etcd") // short: the path of a unix socket takes about 100 bytes
	if err != nil {
		return nil, fmt.Errorf("starting a test etcd: %w", err)
	}
	s := &Server{dir: dir, adjust: adjust}
	if err := s.startEtcd(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a test etcd: %w", err), s.stopAndRemove())
	}
	return s, nil
}

func (s *Server) startEtcd() error {
	running, hangUp := context.WithCancel(context.Background())
	s.hangUp = hangUp
	etcd, err := embed.StartEtcd(s.embedConfig(running))
	if err != nil {
		hangUp()
		return err
	}
	s.etcd = etcd
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case err := <-etcd.Err():
		return err
	case <-etcd.Server.StopNotify():
		return errors.New("it stopped before it was ready")
	case <-time.After(startTimeout):
		return fmt.Errorf("it was not ready within %s", startTimeout)
	}
}

// embedConfig returns the configuration of a server whose streams end when running does.
func (s *Server) embedConfig(running context.Context) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(s.dir, "data")
	client := url.URL{Scheme: "unix", Path: s.socketPath()}
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:0"} // a single member never dials it
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.InitialClusterToken = filepath.Base(s.dir) // makes its ClusterId unique
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.UnsafeNoFsync = true
	cfg.BcryptCost = 4 // the minimum: the default takes seconds of a busy machine under the race detector
	cfg.WatchProgressNotifyInterval = 100 * time.Millisecond
	cfg.SnapshotCatchUpEntries = 100
	cfg.EnableGRPCGateway = false
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainStreamInterceptor(endingWith(running))}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	if s.adjust != nil {
		s.adjust(cfg)
	}
	return cfg
}

// endingWith ends streams when running does: an open watch would hold up the server's graceful end for 5 s.
func endingWith(running context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(running, cancel)()
		err := handle(srv, &endingStream{stream, ctx})
		if running.Err() != nil {
			return status.Error(codes.Unavailable, "the test etcd stops") // as a broken connection is seen
		}
		return err
	}
}

type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *endingStream) Context() context.Context { return s.ctx }

func (s *Server) socketPath() string { return filepath.Join(s.dir, "s") }

// Endpoint returns the address for clients. The server must be running.
func (s *Server) Endpoint() string {
	at := s.etcd.Config().ListenClientUrls[0]
	return (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path}).String()
}

// Stop stops the server; its data stays for Start. Clients lose their connections.
func (s *Server) Stop() {
	if s.etcd != nil {
		s.hangUp()
		s.etcd.Server.HardStop() // first, so that nothing under way holds up the listeners
		s.etcd.Close()
		s.etcd = nil
	}
}

// Start starts the server again after Stop, at the same address and with the same data.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if err := s.startEtcd(); err != nil {
		tb.Fatalf("starting the test etcd again: %v", err)
	}
}

func (s *Server) stopAndRemove() error {
	s.Stop()
	return os.RemoveAll(s.dir)
}

// Client returns a client that is closed when tb ends.
func (s *Server) Client(tb testing.TB) *clientv3.Client {
	tb.Helper()
	client, err := eventlog.Config{Endpoints: s.Endpoint()}.Dial(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Close() })
	return client
}

// Config returns settings for a log of tb's own on this server: each call returns a unique root.
func (s *Server) Config(tb testing.TB) eventlog.Config {
	tb.Helper()
	return eventlog.Config{Endpoints: s.Endpoint(), Root: uniqueRoot(tb.Name()), Progress: 50 * time.Millisecond, DialTimeout: startTimeout}
}

// Compact compacts etcd at its newest revision, which it returns. Live keys stay.
func (s *Server) Compact(tb testing.TB) int64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := s.Client(tb)
	resp, err := client.Get(ctx, "head")
	if err != nil {
		tb.Fatalf("asking for the revision to compact at: %v", err)
	}
	rev := resp.Header.Revision
	if _, err := client.Compact(ctx, rev, clientv3.WithCompactPhysical()); err != nil && !compactedAlready(err) {
		tb.Fatalf("compacting at revision %d: %v", rev, err)
	}
	return rev
}

func compactedAlready(err error) bool {
	return strings.Contains(err.Error(), "has been compacted") // by another test on the same server
}
