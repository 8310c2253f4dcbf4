package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/projectionstest"
	"telemetry-pipeline/projections/snapshot"
)

func evictOf(cfg eventlog.Config) func(projections.Generation) clientv3.Op {
	return func(g projections.Generation) clientv3.Op { return partition.Evict(cfg, string(g)) }
}

// pipeline is a log with stored projections in etcd, and collectors on it.
type pipeline struct {
	t     *testing.T
	cfg   eventlog.Config
	log   *eventlog.Log
	store *snapshot.Store
	etcd  *clientv3.Client
}

func newPipeline(t *testing.T) *pipeline {
	cfg := eventstest.Config(t)
	cfg.Partitions = 8
	log := eventstest.OpenLog(t, cfg)
	return &pipeline{t: t, cfg: cfg, log: log, etcd: eventstest.Etcd(t), store: snapshot.New(eventstest.Etcd(t), cfg, log.Facts(), nil)}
}

// running is a collector whose Run is in progress.
type running struct {
	*Collector
	t      *testing.T
	cancel context.CancelFunc
	ended  chan error
}

// startCollector starts a collector of the given version of the models.
func (p *pipeline) startCollector(version int, adjust ...func(*Collector)) *running {
	p.t.Helper()
	sharing := partition.Config{DataDir: p.t.TempDir(), LeaseTTL: 3 * time.Second, JoinDebounce: 50 * time.Millisecond}
	c, err := openAs(Config{Sharing: sharing, PollInterval: 20 * time.Millisecond, RemovalGrace: time.Millisecond, UpgradeGrace: time.Millisecond}, p.cfg, p.log, version, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, a := range adjust {
		a(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Collector: c, t: p.t, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- c.Run(ctx) }()
	p.t.Cleanup(r.stop)
	return r
}

// stop ends a collector in order; a second call does nothing.
func (r *running) stop() {
	r.cancel()
	if err, first := <-r.ended; first {
		if err != nil {
			r.t.Errorf("the collector ended with %v", err)
		}
		close(r.ended)
		if err := r.Close(); err != nil && !errors.Is(err, context.Canceled) {
			r.t.Error(err)
		}
	}
}

// kill cuts a collector off from etcd, as a killed process would be.
func (r *running) kill() {
	r.Close()
	r.closers = nil
	r.stop()
}

func (p *pipeline) generations() snapshot.Generations {
	p.t.Helper()
	all, err := p.store.Generations(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// rebuild makes a generation that is to become active.
func (p *pipeline) rebuild(version int) projections.Generation {
	p.t.Helper()
	g, err := p.store.Create(p.t.Context(), p.generations(), version, true)
	if err != nil {
		p.t.Fatal(err)
	}
	return g
}

func (p *pipeline) appendEvents(evs ...events.Event) {
	p.t.Helper()
	for some := range slices.Chunk(evs, 40) {
		if _, err := p.log.Append(p.t.Context(), some); err != nil {
			p.t.Fatal(err)
		}
	}
}

// upload appends events continually, new and old ones in turn, until the returned function is called.
func (p *pipeline) upload() (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			host := events.HostID(fmt.Sprint("up-", i%7))
			at := 1000 + i*3
			if i%4 == 0 {
				at = 900 - i%900
			}
			if _, err := p.log.Append(ctx, eventstest.Events(host, at, 3)); err != nil && ctx.Err() == nil {
				p.t.Error(err)
				return
			}
			wait.Sleep(ctx, 2*time.Millisecond)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// checkGeneration waits until a generation has everything, and compares it with a plain fold of the log, byte for
// byte.
func (p *pipeline) checkGeneration(g projections.Generation) {
	p.t.Helper()
	awaitHead(p.t, p.log, p.store)
	if got := p.generations().Active; got != g {
		p.t.Fatalf("%s is active, want %s", got, g)
	}
	head, err := p.log.Head(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	var all []events.Event
	for part := range events.Partition(p.log.Facts().Partitions) {
		for ev, err := range p.log.Read(p.t.Context(), part, events.Revision{}, head) {
			if err != nil {
				p.t.Fatal(err)
			}
			if ev.Damage == nil {
				all = append(all, ev)
			}
		}
	}
	hosts, series := foldAll(all)
	for part := range events.Partition(p.log.Facts().Partitions) {
		stored, err := p.store.PartitionAt(p.t.Context(), g, part, head.Number)
		if err != nil {
			p.t.Fatal(err)
		}
		for i := range stored.Hosts {
			got, want := &stored.Hosts[i], hosts[stored.Hosts[i].ID]
			if want == nil || !bytes.Equal(projectionstest.LiveBytes(&got.Live), projectionstest.LiveBytes(&want.Live)) ||
				!bytes.Equal(projections.AppendIdentity(nil, &got.Identity), projections.AppendIdentity(nil, &want.Identity)) {
				p.t.Errorf("models of %s differ from a plain fold", got.ID)
			}
			delete(hosts, got.ID)
		}
		for got, err := range p.store.HistoryAt(p.t.Context(), g, part, head.Number) {
			if err != nil {
				p.t.Fatal(err)
			}
			key := windowKey{got.Host, got.Window}
			if series[key] == nil || !bytes.Equal(projections.AppendHostWindow(nil, &got.Series), projections.AppendHostWindow(nil, series[key])) {
				p.t.Errorf("history of %s in window %d has %d records, a plain fold %d (or others)", got.Host, got.Window, got.Series.Records(), series[key].Records())
			}
			delete(series, key)
		}
	}
	if len(hosts)+len(series) > 0 {
		p.t.Errorf("not stored: %v, %v", slices.Collect(maps.Keys(hosts)), slices.Collect(maps.Keys(series)))
	}
}

func (p *pipeline) awaitOnly(g projections.Generation) {
	p.t.Helper()
	awaitCondition(p.t, fmt.Sprintf("%s is the only generation", g), func() bool {
		all := p.generations()
		return all.Active == g && len(all.All) == 1
	})
	keys, err := p.etcd.Get(p.t.Context(), p.cfg.Root, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, kv := range keys.Kvs {
		parts := strings.Split(strings.TrimPrefix(string(kv.Key), p.cfg.Root+"/"), "/")
		if slices.Contains([]string{"offsets", "projections", "owners", "generations"}, parts[0]) && parts[2] != string(g) {
			p.t.Fatalf("%s is left of a generation that was removed", kv.Key)
		}
	}
}

// metricSum reads a metric of a collector.
func metricSum(t *testing.T, c *running, name string) (sum float64) {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := c.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
