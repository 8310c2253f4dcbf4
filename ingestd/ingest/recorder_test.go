package ingest

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// recorder is a log in memory that can be down, hold appends back and be full. As the projector it sees
// everything as folded, but for a host called never-folded.
type recorder struct {
	*eventstest.MemoryLog

	mu   sync.Mutex
	hold chan struct{} // while not nil, appends wait for it to be closed

	capacity eventlog.Capacity
	unheard  error         // why Capacity gives none
	stalled  bool          // nothing is folded
	changed  chan struct{} // closed and replaced when stalled is changed
}

// newRecorder cuts early, so that small files give many events.
func newRecorder() *recorder {
	return newRecorderOf(events.CutRules{EventRecords: 50, OpenRecords: 300})
}

func newRecorderOf(rules events.CutRules) *recorder {
	return &recorder{MemoryLog: eventstest.NewLog(events.Facts{Cut: rules}), changed: make(chan struct{})}
}

func (r *recorder) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
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
	return r.MemoryLog.Append(ctx, evs)
}

// WatchFolded tells that everything is folded, except while stalled.
func (r *recorder) WatchFolded(ctx context.Context) iter.Seq2[map[events.Partition]events.Revision, error] {
	return func(yield func(map[events.Partition]events.Revision, error) bool) {
		for {
			r.mu.Lock()
			stalled, changed := r.stalled, r.changed
			r.mu.Unlock()
			if !stalled {
				all := map[events.Partition]events.Revision{}
				for p := range r.Facts().Partitions {
					all[events.Partition(p)] = events.Revision{Number: math.MaxInt64}
				}
				if !yield(all, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}

// Capacity tells how full the test says that etcd is.
func (r *recorder) Capacity(context.Context) (eventlog.Capacity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.capacity, r.unheard
}

// setCapacity makes the log tell that it is so full, or not, and has a server notice.
func (r *recorder) setCapacity(s *Server, c eventlog.Capacity, unheard error) {
	r.mu.Lock()
	r.capacity, r.unheard = c, unheard
	r.mu.Unlock()
	s.admission.look(context.Background())
}

func (r *recorder) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	if _, waits := upto[events.PartitionOf("never-folded", r.Facts().Partitions)]; waits {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

// stored reads the log and gives its events by key, without what is not content.
func (r *recorder) stored(t testing.TB) map[string]events.Event {
	t.Helper()
	return storedIn(t, r.MemoryLog)
}

func storedIn(t testing.TB, log eventstest.Log) map[string]events.Event {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]events.Event{}
	for p := range log.Facts().Partitions {
		for e, err := range log.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err = errors.Join(err, e.Damage); err != nil {
				t.Fatal(err)
			}
			key := e.Key
			e.Upload, e.AppendedAt, e.Revision, e.Key = "", 0, events.Revision{}, ""
			all[key] = e
		}
	}
	return all
}

var errDown = errors.New("the log is down")

func (r *recorder) setDown(down bool) {
	if down {
		r.Fail(func(string) error { return errDown }, nil)
	} else {
		r.Fail(nil, nil)
	}
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
func serve(t testing.TB, cfg Config, log appender, folded projector) *Server {
	t.Helper()
	return serveLogged(t, cfg, log, folded, nil)
}

func serveLogged(t testing.TB, cfg Config, log appender, folded projector, lg *slog.Logger) *Server {
	t.Helper()
	cfg.Host, cfg.Port = "127.0.0.1", FreePort
	cfg.Spool.Dir = cmp.Or(cfg.Spool.Dir, t.TempDir())
	s, err := New(cfg, log, folded, lg)
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

// stall makes the recorder tell, or not, that everything is folded.
func (r *recorder) stall(stalled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled = stalled
	close(r.changed)
	r.changed = make(chan struct{})
}

// patience is how long a test waits for what must come: far more than it takes, since machines are busy.
const patience = 2 * time.Minute

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
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
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}
