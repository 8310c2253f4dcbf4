package foreign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

var errKilled = errors.New("killed")

// rig is a log, and etcd as a foreign producer uses it.
type rig struct {
	t     *testing.T
	cfg   eventlog.Config
	log   *eventlog.Log
	etcd  *clientv3.Client
	guard clientv3.Cmp
	owner string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, eventstest.Shared(t))
}

func newRigOn(t *testing.T, server *eventstest.Server) *rig {
	t.Helper()
	r := &rig{t: t, cfg: server.Config(t), etcd: server.Client(t)}
	r.cfg.Partitions = 4
	r.log = eventstest.OpenLog(t, r.cfg)
	r.owner = r.cfg.Key("owners", "g", "000")
	resp, err := r.etcd.Put(t.Context(), r.owner, "me")
	if err != nil {
		t.Fatal(err)
	}
	r.guard = clientv3.Compare(clientv3.CreateRevision(r.owner), "=", resp.Header.Revision)
	return r
}

// putKey writes a key as a foreign producer would; name is its third segment and the rest.
func (r *rig) putKey(name, value string) {
	r.t.Helper()
	if _, err := r.etcd.Put(r.t.Context(), r.cfg.Prefix("queue")+name, value); err != nil {
		r.t.Fatal(err)
	}
}

// wideRow returns a value of one reading.
func wideRow(host string, second, util int) string {
	return fmt.Sprintf(`{"timestamp":%d,"hostname":%q,"gpu_id":0,"gpu_utilization":%d}`, 1752871354+second, host, util)
}

// foreignKeys returns the keys below the queue in no partition, by name.
func (r *rig) foreignKeys() []string {
	r.t.Helper()
	var names []string
	for _, kv := range r.queueKeys() {
		name := strings.TrimPrefix(string(kv), r.cfg.Prefix("queue"))
		if directory, _, inside := strings.Cut(name, "/"); name == "" || inside && len(directory) == 3 {
			continue
		}
		names = append(names, name)
	}
	return names
}

func (r *rig) queueKeys() []string {
	r.t.Helper()
	resp, err := r.etcd.Get(r.t.Context(), r.cfg.Prefix("queue"), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		r.t.Fatal(err)
	}
	var keys []string
	for _, kv := range resp.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
}

// logContent returns the content of the log: the number of events per record text, and the damaged events.
func (r *rig) logContent() (records map[string]int, damaged []events.Event) {
	r.t.Helper()
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	records = map[string]int{}
	for p := range r.cfg.Partitions {
		for ev, err := range r.log.Read(r.t.Context(), events.Partition(p), events.Revision{}, head) {
			if err != nil {
				r.t.Fatal(err)
			}
			if ev.Damage != nil {
				damaged = append(damaged, ev)
				continue
			}
			for _, text := range recordTexts([]events.Event{ev}) {
				records[text]++
			}
		}
	}
	return records, damaged
}

// waitUntil waits for a condition.
func (r *rig) waitUntil(what string, condition func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not in time: %s; left: %.300v", what, r.foreignKeys())
		}
	}
}

// wantRecords checks that the log has these records, each in one event.
func (r *rig) wantRecords(want ...string) {
	r.t.Helper()
	got, _ := r.logContent()
	all := map[string]int{}
	for _, text := range want {
		all[text] = 1
	}
	if !maps.Equal(got, all) {
		r.t.Errorf("the log has %d records %.2000v\nwant %d %.2000v", len(got), got, len(all), slices.Sorted(maps.Keys(all)))
	}
}

func utilOf(host string, second, util int) string {
	at := events.TimestampOf(time.Unix(int64(1752871354+second), 0))
	return fmt.Sprintf("%s %s:0 %s GPU_UTIL=%d", host, host, at, util)
}

// runTaker runs a taker in the background until the test ends or the returned function is called.
func (r *rig) runTaker(taker *Taker) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		taker.Run(ctx, r.guard)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) newTaker(log *eventlog.Log) *Taker {
	return New(log, 50*time.Millisecond, slog.New(slog.NewTextHandler(r.t.Output(), nil)))
}

// faults cut a log off from etcd: before or after its n-th request, for good or for that request.
type faults struct {
	mu     sync.Mutex
	calls  int
	at     int // 0: never
	after  bool
	once   bool // the answer is lost, and the repeated request is answered
	killed bool
	meet   func(call int) // called before a request that reaches etcd
}

func (f *faults) beforeCall(string) error {
	f.mu.Lock()
	f.calls++
	call := f.calls
	if call == f.at && !f.after {
		f.killed = true
	}
	killed, meet := f.killed, f.meet
	f.mu.Unlock()
	if killed {
		return errKilled
	}
	if meet != nil {
		meet(call)
	}
	return nil
}

func (f *faults) afterCall(string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == f.at && f.after {
		if f.once {
			return status.Error(codes.Unavailable, "the answer is lost")
		}
		f.killed = true
	}
	if f.killed {
		return errKilled
	}
	return nil
}

// faultyLog opens another log of the rig's, whose requests are counted from now on.
func (r *rig) faultyLog(f *faults) *eventlog.Log {
	r.t.Helper()
	cfg := r.cfg
	cfg.Connect = func(lg *slog.Logger) (*clientv3.Client, error) {
		client, err := r.cfg.Dial(lg)
		if err == nil {
			client.KV = &eventstest.KV{KV: client.KV, Before: f.beforeCall, After: f.afterCall}
		}
		return client, err
	}
	at := f.at
	f.at = 0
	log := eventstest.OpenLog(r.t, cfg)
	f.calls, f.at = 0, at
	return log
}
