package graph

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/history/historytest"
	"telemetry-pipeline/queryd/live"
)

// stored is a source of projections that a test fills.
type stored struct {
	batch   projections.Batch
	updates chan projections.Batch
}

func (s *stored) Load(context.Context, projections.Generation) (projections.Batch, error) {
	return s.batch, nil
}

func (s *stored) Watch(ctx context.Context, _ projections.Generation, _ events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		for {
			select {
			case b := <-s.updates:
				if !yield(b, nil) {
					return
				}
			case <-ctx.Done():
				yield(projections.Batch{}, ctx.Err())
				return
			}
		}
	}
}

func (s *stored) WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error] {
	return func(yield func(projections.ActiveGeneration, error) bool) {
		if yield(projections.ActiveGeneration{Generation: "g1"}, nil) {
			<-ctx.Done()
			yield(projections.ActiveGeneration{}, ctx.Err())
		}
	}
}

func revisionOf(n int64) events.Revision {
	return events.Revision{Epoch: 1, Cluster: 2, Number: n}
}

// world is an engine over a small fleet: two hosts, the first with two GPUs.
type world struct {
	engine *Engine
	source *stored
	hosts  map[events.HostID]*projections.Host
}

var start = events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))

func newEvent(t *testing.T, host events.HostID, records ...events.Record) events.Event {
	t.Helper()
	c := events.NewCutter(events.CutRules{}, "upload", "")
	c.Row(host, 100, records)
	evs := c.Flush()
	if len(evs) != 1 {
		t.Fatalf("cut %d events, want 1", len(evs))
	}
	return evs[0]
}

func newReading(id *events.Identity, metric, text string, at events.Timestamp) events.Record {
	n, err := events.ParseNumber(text)
	r := events.Record{Identity: id, Metric: metric, Source: metric, At: at, Value: events.Value{Number: n}, Text: []byte(text)}
	if err != nil {
		r.Value = events.Value{Absent: events.NotSupported, Raw: text}
	}
	return r
}

func newWorld(t *testing.T) *world {
	t.Helper()
	a0 := &events.Identity{UUID: "GPU-a0", Index: "0", Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03", Labels: []events.Label{{Name: "instance", Value: "a:9400"}, {Name: "job", Value: "dcgm"}}}
	a1 := &events.Identity{UUID: "GPU-a1", Index: "1"}
	b0 := &events.Identity{UUID: "GPU-b0", Index: "0"}
	return newWorldOf(t, []events.Event{
		newEvent(t, "a",
			newReading(a0, "DCGM_FI_DEV_GPU_UTIL", "87", start), newReading(a0, "DCGM_FI_DEV_POWER_USAGE", "66.781", start),
			newReading(a0, "DCGM_FI_DEV_MEMORY_TEMP", "[N/A]", start), newReading(a0, "DCGM_FI_DEV_GPU_UTIL", "88", start+events.Timestamp(time.Second)),
			newReading(a1, "DCGM_FI_DEV_GPU_UTIL", "0", start)),
		newEvent(t, "b", newReading(b0, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "9007199254740993", start)),
	})
}

// newWorldOf returns an engine over the fleet of some events.
func newWorldOf(t *testing.T, evs []events.Event) *world {
	t.Helper()
	w := &world{source: &stored{updates: make(chan projections.Batch)}, hosts: map[events.HostID]*projections.Host{}}
	past := historytest.Series{}
	for i := range evs {
		host := evs[i].Host
		if w.hosts[host] == nil {
			w.hosts[host], past[host] = &projections.Host{ID: host}, map[projections.Window]projections.HostWindow{}
		}
		effect := w.hosts[host].Apply(&evs[i])
		for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
			for window, series := range part {
				s := past[host][window]
				s.Add(series)
				past[host][window] = s
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(w.hosts)) {
		h := w.hosts[host]
		w.source.batch.Hosts = append(w.source.batch.Hosts, projections.Stored{Host: host, Live: &h.Live, Identity: &h.Identity})
	}
	w.source.batch.At = revisionOf(10)
	facts := events.Facts{Epoch: 1, Cluster: 2, Partitions: 1}
	hub, err := live.New(live.Config{}, w.source, nil, facts, nil)
	if err != nil {
		t.Fatal(err)
	}
	runHub(t, hub)
	if w.engine, err = New(Config{}, hub, history.New(past, nil), nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// runHub runs the hub until the test ends, and waits until it has its view.
func runHub(t *testing.T, hub *live.Hub) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("hub: %v", err)
		}
	})
	deadline := time.Now().Add(time.Minute)
	for hub.Ready() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("hub never became ready: %v", hub.Ready())
		}
		time.Sleep(time.Millisecond)
	}
}

// execute executes a query that must succeed, and returns its data.
func (w *world) execute(t *testing.T, query string, variables map[string]any) string {
	t.Helper()
	r := w.engine.Execute(everybody(t), Request{Query: query, Variables: variables})
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(r.JSON, &answer); err != nil {
		t.Fatalf("answer is no JSON: %v: %s", err, r.JSON)
	}
	if len(answer.Errors) > 0 || r.Refused {
		t.Fatalf("query failed: %s", r.JSON)
	}
	return string(answer.Data)
}

// refused executes a query that must be refused, and returns the answer.
func (w *world) refused(t *testing.T, query string) Result {
	t.Helper()
	r := w.engine.Execute(everybody(t), Request{Query: query})
	if !r.Refused || strings.Contains(string(r.JSON), `"data"`) {
		t.Errorf("not refused: %.200s", r.JSON)
	}
	return r
}

// everybody returns the context of a request in open mode.
func everybody(t testing.TB) context.Context {
	return access.WithPrincipal(t.Context(), access.Everybody())
}
