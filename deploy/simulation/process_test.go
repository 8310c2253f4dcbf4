package simulation

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest/model"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/live"
)

// process is a daemon and the etcd that it sees.
type process struct {
	name   string
	client *model.Client
	dir    string // of a collector that keeps its member id
	stop   context.CancelFunc
	done   chan struct{} // closed when it has ended

	hub     atomic.Pointer[live.Hub]
	log     atomic.Pointer[eventlog.Log]
	metrics atomic.Pointer[prometheus.Registry] // of a collector that runs

	mu           sync.Mutex
	failing      int // calls that fail before they have an effect
	losing       int // writes whose answers are lost
	ghosts       int // writes that take effect later than anyone expects
	haunting     time.Duration
	latency, lag time.Duration
}

// launch starts a daemon, which is run again whenever it ends by itself.
func (w *world) launch(name, dir string, run func(ctx context.Context, p *process) error) *process {
	p := &process{name: name, client: w.etcd.Client(name), dir: dir, done: make(chan struct{})}
	p.client.Hook(p.before, p.after)
	p.client.SetLate(p.late)
	p.client.SetLatency(func() time.Duration { return w.jitter(p, false) })
	p.client.SetLag(func() time.Duration { return w.jitter(p, true) })
	ctx, stop := context.WithCancel(w.ctx)
	p.stop = stop
	go func() {
		defer close(p.done)
		for ctx.Err() == nil {
			if err := run(ctx, p); err != nil {
				w.note("%s ended: %v", name, err)
			}
			wait.Sleep(ctx, time.Second)
		}
	}()
	return p
}

// before fails calls, as many as the schedule says.
func (p *process) before(c model.Call) error {
	return p.fails(&p.failing, c.Name != "keepalive", "request was not sent")
}

// after loses answers, as many as the schedule says.
func (p *process) after(c model.Call) error {
	return p.fails(&p.losing, changes(c), "answer was lost")
}

// late delays the effect of writes that are answered with an error, as many as the schedule says.
func (p *process) late(c model.Call) time.Duration {
	if p.fails(&p.ghosts, changes(c), "") == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.haunting
}

// changes reports whether a call changes something in etcd.
func changes(c model.Call) bool { return c.Write || c.Name == "grant" || c.Name == "revoke" }

func (p *process) fails(left *int, concerned bool, why string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !concerned || *left == 0 {
		return nil
	}
	*left--
	return status.Error(codes.Unavailable, why)
}

// set changes the fate of the process's calls.
func (p *process) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (w *world) config(p *process) eventlog.Config {
	cfg := w.base
	cfg.Connect = p.client.Connect
	return cfg
}

func (w *world) startAppender(name string) *process {
	return w.launch(name, "", func(ctx context.Context, p *process) error {
		log, err := eventlog.Open(ctx, w.config(p), nil)
		if err != nil {
			return err
		}
		defer log.Close()
		p.log.Store(log)
		<-ctx.Done()
		return nil
	})
}

func (w *world) startCollector(name string, keepsID bool) *process {
	dir := ""
	if keepsID {
		dir = filepath.Join(w.dir, name)
	}
	return w.launchCollector(name, dir)
}

func (w *world) launchCollector(name, dir string) *process {
	return w.launch(name, dir, func(ctx context.Context, p *process) error {
		cfg := w.config(p)
		log, err := eventlog.Open(ctx, cfg, nil)
		if err != nil {
			return err
		}
		defer log.Close()
		settings := w.shape.collect
		settings.Sharing = partition.Config{DataDir: dir, LeaseTTL: leaseTTL, JoinDebounce: debounce}
		c, err := collect.Open(settings, cfg, log, nil)
		if err != nil {
			return err
		}
		defer c.Close()
		registry := prometheus.NewRegistry()
		if err := c.Metrics(registry); err != nil {
			return err
		}
		p.metrics.Store(registry)
		defer p.metrics.Store(nil)
		defer func() {
			w.count(fenced, read(registry, "snapshot_transactions_total", "fenced"))
			w.count(stale, read(registry, "snapshot_transactions_total", "stale"))
			w.count(lost, read(registry, "partition_claims_ended_total", "lost"))
			w.count(restarted, read(registry, "collect_restarts_total", ""))
		}()
		return c.Run(ctx)
	})
}

func (w *world) startHub(name string) *process {
	return w.launch(name, "", func(ctx context.Context, p *process) error {
		cfg := w.config(p)
		log, err := eventlog.Open(ctx, cfg, nil)
		if err != nil {
			return err
		}
		defer log.Close()
		client, err := cfg.Dial(nil)
		if err != nil {
			return err
		}
		defer client.Close()
		hub, err := live.New(w.shape.live, snapshot.New(client, cfg, log.Facts(), nil), log, log.Facts(), nil)
		if err != nil {
			return err
		}
		p.hub.Store(hub)
		return hub.Run(ctx)
	})
}

// claims is how many partitions a collector says that it owns.
func (p *process) claims() int {
	registry := p.metrics.Load()
	if registry == nil {
		return 0
	}
	return read(registry, "partition_claims_held", "")
}

// read returns the value of a metric, of those with a label's value where one is given.
func read(registry *prometheus.Registry, name, label string) int {
	families, err := registry.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label) {
				return int(m.GetGauge().GetValue() + m.GetCounter().GetValue())
			}
		}
	}
	return 0
}
