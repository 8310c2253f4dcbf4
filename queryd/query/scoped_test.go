package query

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// damaged is a store in which a model of host g1 cannot be read, and with an entry of g1 and one of h1 in the quarantine.
type damaged struct{ empty }

func (damaged) Load(ctx context.Context, g projections.Generation) (projections.Batch, error) {
	b, err := empty{}.Load(ctx, g)
	for _, host := range []events.HostID{"g2", "h1"} {
		h := projections.Host{ID: host}
		h.Apply(&events.Event{Host: host, Identities: []events.Identity{{UUID: "GPU-" + string(host)}}, Columns: []events.Column{columnOf(1)}})
		b.Hosts = append(b.Hosts, projections.Stored{Host: host, Partition: events.PartitionOf(host, facts.Partitions), Live: &h.Live, Identity: &h.Identity})
	}
	b.Unreadable = []projections.Unreadable{{Key: "live/g1", Kind: "live", Host: "g1", Err: errors.New("g1 is damaged")}}
	return b, err
}

func columnOf(value int64) events.Column {
	c := events.Column{Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "u"}
	c.Add(1000, events.Value{Number: events.NumberOf(value, 0)})
	return c
}

func (damaged) QuarantineCount(context.Context) (int, error) { return 3, nil }

func (damaged) QuarantineList(_ context.Context, f snapshot.QuarantineFilter) (list []snapshot.Quarantined, total int, err error) {
	for _, q := range []snapshot.Quarantined{{Host: "g1"}, {Host: "h1"}, {}} {
		if f.Visible == nil || q.Host != "" && f.Visible(q.Host) {
			list, total = append(list, q), total+1
		}
	}
	return list, total, nil
}

func TestConditionsOfAScopeNameNoOtherHost(t *testing.T) {
	s, err := New(Config{}, damaged{}, eventless{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stop := startServer(t, s)
	defer func() { _ = stop() }()
	for end := time.Now().Add(time.Minute); s.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not ready")
		}
	}
	for text, want := range map[string]struct {
		reason      string
		gpus        int
		quarantined int
	}{
		"*": {"g1", 2, 3}, "host=h*": {"", 1, 1}, "host=g1": {"g1", 0, 1}, "host=none": {"", 0, 0}, "": {"", 0, 0}, "namespace=ml": {"", 0, 0},
	} {
		scope, err := access.ParseScope(text)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := s.hub.In(scope)
		if err != nil {
			t.Fatal(err)
		}
		c := s.currentCondition(feed, "ok", "degraded")
		if (c.Reason == "") != (want.reason == "") || !strings.Contains(c.Reason, want.reason) {
			t.Errorf("scope %q: condition %+v, want a reason with %q", text, c, want.reason)
		}
		if n := s.countQuarantined(scope); n == nil || *n != want.quarantined || feed.State().CountGPUs() != want.gpus {
			t.Errorf("scope %q: %v quarantined, %d GPUs; want %d and %d", text, n, feed.State().CountGPUs(), want.quarantined, want.gpus)
		}
	}
}
