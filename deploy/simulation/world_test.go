package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest/model"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/live"
)

const (
	partitions = 4
	leaseTTL   = 6 * time.Second
	debounce   = time.Second
)

// shape is the difference between worlds: large fleets make commits of several transactions, small buffers make everything full.
type shape struct {
	hosts      int
	watchBytes int // of the log and the stored projections
	collect    collect.Config
	live       live.Config
}

func shapeOf(seed uint64) shape {
	r := rand.New(rand.NewPCG(seed, 3))
	s := shape{hosts: 8, watchBytes: 1 << 20, live: live.Config{Heartbeat: 4 * time.Second}}
	if r.IntN(8) == 0 {
		s.hosts = 120
	}
	if r.IntN(3) == 0 {
		s.watchBytes = 1 << 10
	}
	if r.IntN(3) == 0 {
		s.collect = collect.Config{Workers: 1, BufferSize: 20, ChunkRecords: 10}
	}
	if r.IntN(3) > 0 {
		s.live.Ring, s.live.QueueBytes = 8, 2<<10
	}
	return s
}

// world is a pipeline in a bubble.
type world struct {
	t      *testing.T
	dir    string
	shape  shape
	etcd   *model.Etcd
	base   eventlog.Config
	ctx    context.Context
	end    context.CancelFunc
	began  time.Time
	writes *writes
	seen   *eventCounts

	sources    *sources
	senders    *senders
	appenders  []*process
	collectors []*process // that are running
	leaving    []*process // that were asked to end
	hubs       []*process
	readers    []*subscriber
	joined     int
	rebuilds   []projections.Generation // that were asked for

	// Observers, which no fault touches.
	client *clientv3.Client
	log    *eventlog.Log
	store  *snapshot.Store

	mu       sync.Mutex
	rand     *rand.Rand // of jitter
	failures []string
	notes    []string
}

// newWorld starts a pipeline of two appenders, two collectors, two hubs and four subscribers.
func newWorld(t *testing.T, seed uint64, dir string, seen *eventCounts) *world {
	sh := shapeOf(seed)
	w := &world{
		t: t, dir: dir, began: time.Now(), shape: sh, seen: seen,
		etcd:    model.New(t, model.Options{}),
		base:    eventlog.Config{Partitions: partitions, WatchBytes: sh.watchBytes},
		sources: newSources(rand.New(rand.NewPCG(seed, 1)), sh.hosts),
		senders: newSenders(),
		rand:    rand.New(rand.NewPCG(seed, 2)),
	}
	w.writes = newWrites(w)
	w.etcd.Observe(w.writes.see)
	w.ctx, w.end = context.WithCancel(t.Context())
	w.look()
	for i := range 2 {
		w.appenders = append(w.appenders, w.startAppender(fmt.Sprint("appender-", i)))
		w.hubs = append(w.hubs, w.startHub(fmt.Sprint("hub-", i)))
	}
	for range 2 {
		w.join(w.joined == 0)
	}
	for i, mode := range []live.Mode{live.LatestMode, live.EventsMode, live.LatestMode, live.EventsMode} {
		s := &subscriber{name: fmt.Sprint("subscriber-", i), hub: i, knows: mirror{},
			options: live.Options{Mode: mode, Snapshot: true, Hz: 20}}
		if mode == live.EventsMode {
			s.options.Hz = 0
		}
		w.readers = append(w.readers, s)
		w.senders.wg.Go(func() { s.run(w) })
	}
	return w
}

// look opens the observers.
func (w *world) look() {
	cfg := w.base
	cfg.Connect = w.etcd.Client("onlooker").Connect
	log, err := eventlog.Open(w.ctx, cfg, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log = log
	if w.client, err = cfg.Dial(nil); err != nil {
		w.t.Fatal(err)
	}
	w.store = snapshot.New(w.client, cfg, log.Facts(), nil)
}

// join adds a collector.
func (w *world) join(keepsID bool) {
	w.joined++
	w.collectors = append(w.collectors, w.startCollector(fmt.Sprint("collector-", w.joined), keepsID))
}

// close ends everything and waits for it.
func (w *world) close() {
	w.end()
	for _, p := range w.everybody() {
		p.client.Kill()
		<-p.done
	}
	w.senders.wg.Wait()
	for _, r := range w.readers {
		w.count(resumed, r.resumed)
		w.count(reset, r.resets)
		w.count(slow, r.slow)
		w.count(updated, r.updates)
	}
	w.count(acked, len(w.senders.acked))
	w.log.Close()
	w.client.Close()
}

func (w *world) everybody() []*process {
	var all []*process
	for _, group := range [][]*process{w.appenders, w.collectors, w.leaving, w.hubs} {
		all = append(all, group...)
	}
	return all
}

// jitter is how long a call of a process is on its way, or a watch's news.
func (w *world) jitter(p *process, lag bool) time.Duration {
	p.mu.Lock()
	most := p.latency
	if lag {
		most = p.lag
	}
	p.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if most > 0 {
		return time.Duration(w.rand.Int64N(int64(most)))
	}
	if w.rand.IntN(4) > 0 {
		return 0
	}
	return time.Duration(w.rand.Int64N(int64(4 * time.Millisecond)))
}

// broken notes a broken promise.
func (w *world) broken(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failures) < 20 {
		w.failures = append(w.failures, fmt.Sprintf("at %s: ", time.Since(w.began))+fmt.Sprintf(format, args...))
	}
}

// note keeps a text that is printed beside a failure.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, fmt.Sprintf("%s: ", time.Since(w.began))+fmt.Sprintf(format, args...))
}

// generation is the active one, "" when there is none yet.
func (w *world) generation() projections.Generation {
	resp, err := w.client.Get(w.ctx, w.base.Key("active"))
	if err != nil || len(resp.Kvs) == 0 {
		return ""
	}
	return projections.Generation(resp.Kvs[0].Value)
}
