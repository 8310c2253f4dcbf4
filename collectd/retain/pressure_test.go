package retain

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

func TestPressureGrowsStepByStepAndEases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := eventlog.Capacity{Quota: 1000, InUse: 90}
		p := pressure{share: 10, step: 15 * time.Second, measure: func(context.Context) (eventlog.Capacity, error) { return c, nil }}
		for _, s := range []struct {
			inUse int64
			wait  time.Duration
			want  int
		}{
			{90, 0, 0}, {110, time.Second, 0}, {110, 2 * time.Second, 1}, {110, 5 * time.Second, 1}, {110, 15 * time.Second, 2},
			{500, 15 * time.Second, 3}, {500, 15 * time.Second, 4}, {500, 15 * time.Second, 5}, {500, time.Minute, 5},
			{80, 15 * time.Second, 5}, {60, 15 * time.Second, 4}, {60, time.Minute, 3}, {110, time.Minute, 4},
		} {
			c.InUse = s.inUse
			time.Sleep(s.wait)
			if got := p.currentLevel(t.Context()); got != s.want {
				t.Errorf("%d in use, %s later: level %d, want %d", s.inUse, s.wait, got, s.want)
			}
		}
		c.Quota = 0
		time.Sleep(time.Minute)
		if got := p.currentLevel(t.Context()); got != 0 {
			t.Errorf("without a quota: level %d, want 0", got)
		}
	})
}

// Under pressure archived events leave etcd at once, however young; without, they stay for the hot window.
func TestPressureShortensTheHotWindow(t *testing.T) {
	r := newRig(t, Config{ArchiveRecords: 24, ArchiveInterval: time.Nanosecond, HotWindow: 100 * 365 * 24 * time.Hour}, true)
	r.appendEvents(eventstest.Events(r.host, 0, 60)...)
	want, chunks := len(r.allRecords()), r.chunkCount()
	r.runToIdle()
	if len(r.inLog()) != want || r.chunkCount() != chunks || r.hotFrom != 0 {
		t.Fatalf("%d records of %d and %d chunks of %d stay, hot from %d", len(r.inLog()), want, r.chunkCount(), chunks, r.hotFrom)
	}
	r.keeper.pressure.measure = func(context.Context) (eventlog.Capacity, error) { return eventlog.Capacity{Quota: 100, InUse: 90}, nil }
	r.keeper.pressure.level, r.keeper.pressure.measuredAt = maxLevel, time.Now().Add(-time.Hour)
	r.runToIdle()
	if len(r.inLog()) != 0 || r.chunkCount() != 0 || r.hotFrom == 0 || len(r.allRecords()) != want {
		t.Errorf("under pressure %d records and %d chunks stay in etcd, hot from %d; archive and log have %d of %d",
			len(r.inLog()), r.chunkCount(), r.hotFrom, len(r.allRecords()), want)
	}
	if now := projections.WindowOf(events.TimestampOf(time.Now())); r.hotFrom > now+1 {
		t.Errorf("hot from %d, which is after now", r.hotFrom)
	}
}

func TestCompactionAtThePaceAndWhenEtcdGrows(t *testing.T) {
	server := eventstest.NewServer(t, nil)
	cfg := server.Config(t)
	log, client := eventstest.OpenLog(t, cfg), server.Client(t)
	k := New(Config{}, cfg, log, nil, nil, client, nil)
	inUse := int64(100 << 20)
	k.pressure.measure = func(context.Context) (eventlog.Capacity, error) { return eventlog.Capacity{InUse: inUse}, nil }
	start := time.Now()
	c := compactor{Keeper: k, compactedAt: start}
	var revisions []int64
	at := func(after time.Duration) {
		t.Helper()
		put, err := client.Put(t.Context(), "x", after.String())
		if err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, put.Header.Revision)
		k.pressure.measuredAt = time.Time{}
		if err := c.compactDue(t.Context(), start.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	compacted := func(rev int64) bool {
		_, err := client.Get(t.Context(), "x", clientv3.WithRev(rev))
		if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
			t.Fatal(err)
		}
		return err != nil
	}
	for s := time.Duration(0); s < 295*time.Second; s += 5 * time.Second {
		at(s)
	}
	if compacted(revisions[0]) {
		t.Error("compacted before the pace")
	}
	at(301 * time.Second)
	last := len(revisions) - 1
	if !compacted(revisions[0]) || !compacted(revisions[last-14]) || compacted(revisions[last-11]) {
		t.Error("after five minutes: want all but the last minute compacted")
	}
	inUse += 130 << 20
	at(302 * time.Second)
	if last = len(revisions) - 1; !compacted(revisions[last-4]) || compacted(revisions[last-2]) {
		t.Error("when etcd grows: want all but the last ten seconds compacted")
	}
	if _, err := client.Compact(t.Context(), revisions[len(revisions)-1]); err != nil {
		t.Fatal(err)
	}
	inUse += 130 << 20
	at(330 * time.Second) // another process compacted already, which is no error
	if compacted(revisions[len(revisions)-1]) {
		t.Error("the newest revision is gone")
	}
}

// A refused compaction is counted each time, logged once with its cure, and shown until one succeeds.
func TestRefusedCompaction(t *testing.T) {
	server := eventstest.NewServer(t, nil)
	cfg := server.Config(t)
	eventstest.OpenLog(t, cfg)
	admin := server.Client(t)
	for _, do := range []func() error{
		func() error { _, err := admin.UserAdd(t.Context(), "root", "secret"); return err },
		func() error { _, err := admin.RoleAdd(t.Context(), "root"); return err },
		func() error { _, err := admin.UserGrantRole(t.Context(), "root", "root"); return err },
		func() error { _, err := admin.UserAdd(t.Context(), "collectd", "pass"); return err },
		func() error { _, err := admin.RoleAdd(t.Context(), "collectd"); return err },
		func() error {
			_, err := admin.RoleGrantPermission(t.Context(), "collectd", cfg.Root+"/", clientv3.GetPrefixRangeEnd(cfg.Root+"/"), clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := admin.UserGrantRole(t.Context(), "collectd", "collectd"); return err },
		func() error { _, err := admin.AuthEnable(t.Context()); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Username, cfg.Password = "collectd", "pass"
	client, err := cfg.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var logged bytes.Buffer
	k := New(Config{}, cfg, eventstest.OpenLog(t, cfg), nil, nil, client, slog.New(slog.NewTextHandler(&logged, nil)))
	c := compactor{Keeper: k}
	for range 3 {
		if err := c.compactUpto(t.Context(), 2); !errors.Is(err, ErrCompactionRefused) {
			t.Fatalf("got %v, want %v", err, ErrCompactionRefused)
		}
	}
	if text := logged.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "--auto-compaction-mode") || !strings.Contains(text, "user collectd") {
		t.Errorf("got log:\n%s", text)
	}
	if err := k.Degraded(); !errors.Is(err, ErrCompactionRefused) {
		t.Errorf("degraded: got %v", err)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(k.metrics.refused)
	if got, err := reg.Gather(); err != nil || got[0].GetMetric()[0].GetCounter().GetValue() != 3 {
		t.Errorf("got %v, %v; want 3 refusals counted", got, err)
	}
	root := cfg
	root.Username, root.Password = "root", "secret"
	asRoot, err := root.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer asRoot.Close()
	if _, err := asRoot.UserGrantRole(t.Context(), "collectd", "root"); err != nil {
		t.Fatal(err)
	}
	if err := c.compactUpto(t.Context(), 2); err != nil || k.Degraded() != nil {
		t.Errorf("with the role root: got %v, degraded %v", err, k.Degraded())
	}
}
