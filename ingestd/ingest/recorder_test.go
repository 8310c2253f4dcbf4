package ingest

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// recorder is a log that keeps what was appended, by content. It can refuse, and it can hold appends back.
type recorder struct {
	facts events.Facts

	mu     sync.Mutex
	events map[string]events.Event
	at     map[string]int64 // revision of each event
	next   int64
	down   bool
	hold   chan struct{} // while not nil, appends wait for it to be closed
	upto   map[events.Partition]events.Revision
}

func newRecorder() *recorder {
	return &recorder{
		facts: events.Facts{Epoch: 7, Cluster: 9, Partitions: 64, PartitionHash: "xxh3",
			Cut: events.CutRules{EventRecords: 50, EventBytes: 1 << 20, OpenRecords: 300}},
		events: map[string]events.Event{}, at: map[string]int64{}, next: 1,
	}
}

func (r *recorder) Facts() events.Facts { return r.facts }

func (r *recorder) revision(n int64) events.Revision {
	return events.Revision{Epoch: r.facts.Epoch, Cluster: r.facts.Cluster, Number: n}
}

func (r *recorder) Head(context.Context) (events.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return events.Revision{}, errDown
	}
	return r.revision(r.next), nil
}

var errDown = errors.New("the log is down")

func (r *recorder) Append(ctx context.Context, evs []events.Event) ([]events.Appended, error) {
	r.mu.Lock()
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return nil, errDown
	}
	r.next++
	out := make([]events.Appended, len(evs))
	for i, e := range evs {
		key := string(e.Host) + "/" + e.First().String() + "/" + string(e.Sequence[:])
		_, found := r.at[key]
		if !found {
			e.Upload = "" // not part of the content
			r.events[key], r.at[key] = e, r.next
		}
		out[i] = events.Appended{Created: !found, Revision: r.revision(r.at[key]), Key: key}
	}
	return out, nil
}

// WaitFolded sees what it is asked for, unless the log is held: then it waits as for a fold that does not come.
func (r *recorder) WaitFolded(ctx context.Context, upto map[events.Partition]events.Revision) error {
	r.mu.Lock()
	r.upto = upto
	r.mu.Unlock()
	for p := range upto {
		if strings.Contains(string(r.hostOf(p)), "never-folded") {
			<-ctx.Done()
			return context.Cause(ctx)
		}
	}
	return nil
}

func (r *recorder) hostOf(p events.Partition) events.HostID {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if events.PartitionOf(e.Host, r.facts.Partitions) == p {
			return e.Host
		}
	}
	return ""
}

func (r *recorder) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// holdAppends makes appends wait until the function that it returns is called.
func (r *recorder) holdAppends() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hold := make(chan struct{})
	r.hold = hold
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hold = nil
		close(hold)
	})
}

// serve runs a server on a free loopback port for the length of the test.
func serve(t testing.TB, cfg Config, log appender, folded waiter) *Server {
	t.Helper()
	cfg.Host, cfg.Port = "127.0.0.1", FreePort
	s, err := New(cfg, log, folded, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually(t, "listening", func() bool { return s.Addr() != nil })
	return s
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}
