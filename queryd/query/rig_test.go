package query

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/cache"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

var facts = events.Facts{Epoch: 7, Cluster: 9, Partitions: 4, PartitionHash: "xxh3"}

// empty is a store of a cluster without hosts.
type empty struct{}

func (empty) Load(context.Context, projections.Generation) (projections.Batch, error) {
	return projections.Batch{At: events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 5}}, nil
}

func (empty) Watch(ctx context.Context, _ projections.Generation, _ events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		<-ctx.Done()
		yield(projections.Batch{}, ctx.Err())
	}
}

func (empty) WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error] {
	return func(yield func(projections.ActiveGeneration, error) bool) {
		if yield(projections.ActiveGeneration{Generation: "1"}, nil) {
			<-ctx.Done()
			yield(projections.ActiveGeneration{}, ctx.Err())
		}
	}
}

func (empty) KeepChunksUpTo(int64) {}

func (empty) ChunkCacheStats() cache.Stats { return cache.Stats{} }

func (empty) ListChunks(context.Context, projections.Generation, projections.ChunkQuery) (projections.ChunkList, error) {
	return projections.ChunkList{}, errors.New("there are no hosts, so no query should come")
}

func (empty) ReadChunks(context.Context, []projections.WindowChunks, func(events.Entity, string) bool) ([]projections.WindowSeries, error) {
	return nil, errors.New("there are no hosts, so no query should come")
}

func (empty) QuarantineList(context.Context, snapshot.QuarantineFilter) ([]snapshot.Quarantined, int, error) {
	return nil, 0, nil
}

func (empty) QuarantineCount(context.Context) (int, error) { return 0, nil }

func (empty) RequestRetry(_ context.Context, f snapshot.RetryFilter) (int, error) {
	if f.Event != "" {
		return 0, snapshot.ErrNoEntry
	}
	return 0, nil
}

// eventless is the log of that cluster.
type eventless struct{}

func (eventless) Facts() events.Facts { return facts }

func (eventless) Head(context.Context) (events.Revision, error) {
	return events.Revision{Epoch: facts.Epoch, Cluster: facts.Cluster, Number: 5}, nil
}

func (eventless) List(context.Context, events.Listing) ([]events.Ref, bool, error) {
	return nil, false, nil
}

func (eventless) Fetch(context.Context, []events.Ref) iter.Seq2[events.Event, error] {
	return func(func(events.Event, error) bool) {}
}

func (eventless) Get(context.Context, string) (events.Event, bool, error) {
	return events.Event{}, false, nil
}

func (eventless) UnreadPartitions(context.Context, map[events.Partition]events.Revision, events.Revision) ([]events.Partition, error) {
	return nil, nil
}

// newGuard returns a guard without a file.
func newGuard(t testing.TB, cfg access.Config) *access.Guard {
	t.Helper()
	g, err := access.New(cfg, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg, empty{}, eventless{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// startServer runs a server until stop is called, which returns Run's error.
func startServer(t testing.TB, s *Server) (base string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	stop = func() error {
		cancel()
		if ended {
			return nil
		}
		ended = true
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	waitUntil(t, "server is ready", func() bool { return s.Ready() == nil })
	return "http://" + s.Addr().String(), stop
}

func waitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// answer is an answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request through the app; header alternates names and values.
func ask(t testing.TB, s *Server, method, target, body string, header ...string) answer {
	t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Host = "localhost"
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.app.Test(req, -1)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}
