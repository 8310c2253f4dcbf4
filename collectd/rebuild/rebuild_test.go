package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// pipeline is a log with events, and its stored projections.
type pipeline struct {
	t     *testing.T
	cfg   eventlog.Config
	log   *eventlog.Log
	store *snapshot.Store
	etcd  *clientv3.Client
}

func newPipeline(t *testing.T) *pipeline {
	cfg := eventstest.Config(t)
	cfg.Partitions = 4
	p := &pipeline{t: t, cfg: cfg, log: eventstest.OpenLog(t, cfg), etcd: eventstest.Etcd(t)}
	p.store = snapshot.New(p.etcd, cfg, p.log.Facts(), nil)
	for h := range 8 {
		p.appendEvents(eventstest.Events(events.HostID(fmt.Sprint("h", h)), 3500, 30)...)
	}
	return p
}

func (p *pipeline) appendEvents(evs ...events.Event) {
	p.t.Helper()
	if _, err := p.log.Append(p.t.Context(), evs); err != nil {
		p.t.Fatal(err)
	}
}

// startCollector runs a collector until the test ends, or the returned function is called.
func (p *pipeline) startCollector() (stop func()) {
	p.t.Helper()
	c, err := collect.Open(collect.Config{RemovalGrace: 10 * time.Millisecond, PollInterval: 20 * time.Millisecond,
		Sharing: partition.Config{DataDir: p.t.TempDir(), LeaseTTL: 3 * time.Second}}, p.cfg, p.log, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, c.Close()); err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(stop)
	deadline := time.Now().Add(time.Minute)
	for c.Ready() != nil {
		if time.Now().After(deadline) {
			p.t.Fatalf("the collector is not ready: %v", c.Ready())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return stop
}

// runCommand runs a rebuild to its end and returns its output.
func (p *pipeline) runCommand(cfg Config) (string, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := Run(ctx, cfg, p.cfg, archive.Config{}, &out, nil)
	p.t.Logf("%+v: %v\n%s", cfg, err, out.String())
	return out.String(), err
}

func (p *pipeline) generations() snapshot.Generations {
	p.t.Helper()
	all, err := p.store.Generations(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func wantTexts(t *testing.T, text string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what was written:\n%s", want, text)
		}
	}
}

func TestRebuildUnderUploadsFindsNoDifferenceAndTakesOver(t *testing.T) {
	p := newPipeline(t)
	p.startCollector()
	before := p.generations().Active
	ctx, stop := context.WithCancel(t.Context())
	var uploads sync.WaitGroup
	uploads.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = p.log.Append(ctx, eventstest.Events(events.HostID(fmt.Sprint("h", i%9)), 3600+i-i%3*500, 2))
		}
	})
	text, err := p.runCommand(Config{Compare: true, Activate: true})
	stop()
	uploads.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, text, "is made", "all 4 partitions are folded", " 0 differences", "is active", "the old generation is removed")
	if all := p.generations(); all.Active == before || len(all.All) != 1 {
		t.Errorf("generations are %+v, want a new one alone", all)
	}
}

func TestComparisonReportsEveryDifference(t *testing.T) {
	p := newPipeline(t)
	stop := p.startCollector()
	all := p.generations()
	g, at := all.Active, events.PartitionOf("h3", 4)
	stop()
	resp, err := p.etcd.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	part, err := p.store.PartitionAt(t.Context(), g, at, resp.Header.Revision)
	if err != nil {
		t.Fatal(err)
	}
	c := snapshot.Commit{Live: map[events.HostID]*projections.Live{}, Identity: map[events.HostID]*projections.Identity{}}
	for _, h := range part.Hosts {
		if h.ID == "h3" {
			h.Live.Entities[0].Latest[0].Value = events.Value{Number: events.Int(4711)}
			c.Live[h.ID] = &h.Live
			h.Identity.GPUs[0].FirstSeen -= 5
			c.Identity[h.ID] = &h.Identity
		}
	}
	if err := p.store.Save(t.Context(), g, at, c); err != nil {
		t.Fatal(err)
	}
	chunks := p.cfg.Prefix("projections", string(g), "series", at.String())
	found, err := p.etcd.Get(t.Context(), chunks, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	gone := ""
	for _, kv := range found.Kvs {
		if strings.Contains(string(kv.Key), "/h3/") {
			gone = string(kv.Key)
		}
	}
	if _, err := p.etcd.Delete(t.Context(), gone); err != nil || gone == "" {
		t.Fatalf("no chunk to delete: %v", err)
	}

	p.startCollector()
	text, err := p.runCommand(Config{Compare: true, Activate: true})
	if !errors.Is(err, ErrDiffers) || p.generations().Active != g {
		t.Errorf("got %v and %s active, want ErrDiffers, and nothing activated", err, p.generations().Active)
	}
	wantTexts(t, text, "host h3: live: ", "active 4711 at", "host h3: identity: ", "first seen at", "host h3: history of the hour from", "only rebuilt: ", "8 hosts", "3 differences")
	text, err = p.runCommand(Config{Activate: true}) // the same generation, trusted
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, text, "is being built already", "is active")
}

// An event that a generation has in its quarantine is not folded by the comparison either.
func TestComparisonFoldsNothingFromTheQuarantine(t *testing.T) {
	p := newPipeline(t)
	p.startCollector()()
	g, at := p.generations().Active, events.PartitionOf("odd", 4)
	p.appendEvents(eventstest.Events("odd", 10, 10)...)
	head, err := p.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &rebuild{log: p.log, reader: p.log, store: p.store}
	compared := func() int {
		t.Helper()
		d := &differences{printf: func(string, ...any) {}}
		if err := r.compareOnce(t.Context(), at, g, g, d); err != nil {
			t.Fatal(err)
		}
		return d.hosts
	}
	before := compared()
	var c snapshot.Commit
	for ev, err := range p.log.Read(t.Context(), at, events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Host == "odd" {
			c.Quarantine = append(c.Quarantine, snapshot.Quarantined{ID: snapshot.EntryIDOf(ev.Key, ev.Revision), Partition: at, Key: ev.Key, Revision: ev.Revision, Host: ev.Host, Reason: "unfoldable"})
		}
	}
	if err := p.store.Save(t.Context(), g, at, c); err != nil {
		t.Fatal(err)
	}
	if after := compared(); len(c.Quarantine) == 0 || after != before-1 {
		t.Errorf("with %d events in quarantine %d hosts are compared, and %d without", len(c.Quarantine), after, before)
	}
	first, last := c.Quarantine[0], c.Quarantine[len(c.Quarantine)-1]
	sum := snapshot.Quarantined{ID: snapshot.SummaryID("unfoldable"), Reason: "unfoldable", Events: 2, Revision: first.Revision, LastRevision: last.Revision}
	counted := snapshot.Commit{Quarantine: []snapshot.Quarantined{sum}}
	for _, q := range c.Quarantine {
		counted.Resolved = append(counted.Resolved, q.ID)
	}
	if err := p.store.Save(t.Context(), g, at, counted); err != nil {
		t.Fatal(err)
	}
	if after := compared(); after != before-1 {
		t.Errorf("with a summary of the events %d hosts are compared, and %d without", after, before)
	}
}

// killingWriter kills a command once it has written some text.
type killingWriter struct {
	bytes.Buffer
	at   string
	kill func()
}

func (k *killingWriter) Write(text []byte) (int, error) {
	n, err := k.Buffer.Write(text)
	if strings.Contains(k.String(), k.at) {
		k.kill()
	}
	return n, err
}

func TestACommandThatWasKilledIsTakenUpAgain(t *testing.T) {
	p := newPipeline(t)
	stop := p.startCollector()
	stop() // no collector folds
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	out := killingWriter{at: "0 of 4 partitions", kill: kill}
	if err := Run(ctx, Config{Activate: true}, p.cfg, archive.Config{}, &out, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the end of its context", err)
	}
	wantTexts(t, out.String(), "is made", "0 of 4 partitions")
	made := p.generations().Successor(snapshot.ModelVersion)
	if text, err := p.runCommand(Config{Detach: true}); err != nil || !strings.Contains(text, "generation "+string(made)+" is being built already") {
		t.Errorf("got %q, %v; want the same generation", text, err)
	}
	p.startCollector()
	deadline := time.Now().Add(time.Minute)
	for p.generations().Active != made { // although no command runs
		if time.Now().After(deadline) {
			t.Fatalf("it is not active: %+v", p.generations())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAGenerationIsGivenUp(t *testing.T) {
	p := newPipeline(t)
	if _, err := p.runCommand(Config{}); !errors.Is(err, errNone) {
		t.Errorf("without any generation: got %v, want what to do", err)
	}
	p.startCollector()
	text, err := p.runCommand(Config{})
	if err != nil {
		t.Fatal(err)
	}
	wantTexts(t, text, "is complete")
	first := p.generations().Successor(snapshot.ModelVersion)
	text, err = p.runCommand(Config{New: true})
	if err != nil {
		t.Fatal(err)
	}
	second := p.generations().Successor(snapshot.ModelVersion)
	wantTexts(t, text, string(first)+" is given up", string(second)+" is made", string(second)+" is complete")
	text, err = p.runCommand(Config{Abandon: true})
	if err != nil || p.generations().Successor(snapshot.ModelVersion) != "" {
		t.Errorf("got %v, %+v; want none being built", err, p.generations())
	}
	wantTexts(t, text, string(second)+" is given up")
	for cfg, want := range map[Config]string{{Abandon: true, New: true}: "-abandon", {Detach: true, Compare: true}: "-detach"} {
		if _, err := p.runCommand(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want it refused", cfg, err)
		}
	}
}

func TestGenerationsAreListed(t *testing.T) {
	p := newPipeline(t)
	p.startCollector()
	if _, err := p.runCommand(Config{}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := List(t.Context(), p.cfg, &out, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %q, want a head and two generations", out.String())
	}
	all := p.generations()
	for i, want := range [][]string{{string(all.Active), "active", "4 of 4", "480"}, {string(all.Successor(snapshot.ModelVersion)), "complete", "4 of 4", "480"}} {
		fields := strings.Join(strings.Fields(lines[i+1]), " ")
		for _, w := range want {
			if !strings.Contains(fields, w) {
				t.Errorf("line %q lacks %q", fields, w)
			}
		}
	}
}

func TestProgressText(t *testing.T) {
	start := time.Now()
	at := func(n, records int64) projections.Offsets {
		r := events.Revision{Number: n}
		return projections.Offsets{Live: r, Series: r, Records: records}
	}
	l := newProgress(start)
	l.update(start, nil, 3_000_000, 1000, 4)
	l.update(start.Add(time.Second), map[events.Partition]projections.Offsets{0: at(1000, 500_000), 1: at(400, 500_000)}, 3_000_000, 1000, 4)
	if got, want := l.String(), "1,000,000 of about 3,000,000 records, 1,000,000 records/s, 33 %, 1 of 4 partitions, about 2s left"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if l.isStalled(start.Add(stallTime)) || !l.isStalled(start.Add(stallTime+time.Second)) || l.isStalled(start.Add(stallTime+2*time.Second)) {
		t.Error("a stall is reported too early, never or too often")
	}
	l = newProgress(start) // an active generation of an earlier program, which counted no records
	l.update(start, nil, 0, 1000, 4)
	l.update(start.Add(time.Second), map[events.Partition]projections.Offsets{0: at(1000, 0), 1: at(1200, 0)}, 0, 1000, 4)
	if got, want := l.String(), "0 records, 0 records/s, 50 %, 2 of 4 partitions, about 1s left"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
