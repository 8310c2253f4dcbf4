package graph

import (
	"context"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// contextOf returns the context of a request of a principal with a scope.
func contextOf(t *testing.T, text string) context.Context {
	t.Helper()
	scope, err := access.ParseScope(text)
	if err != nil {
		t.Fatal(err)
	}
	return access.WithPrincipal(t.Context(), &access.Principal{ID: "p", Roles: []access.Role{access.RoleRead}, Scope: scope})
}

// eventsOfTwo returns events of a visible host a, and of a host b that shares one of its GPUs and has one of its own.
func eventsOfTwo(t *testing.T) (mine, foreign []events.Event) {
	shared, secret := &events.Identity{UUID: "GPU-a0", Index: "0", Model: "H100"}, &events.Identity{UUID: "GPU-b1", Index: "1", Model: "Secret"}
	mine = []events.Event{newEvent(t, "a", newReading(shared, "DCGM_FI_DEV_GPU_UTIL", "1", start))}
	foreign = []events.Event{newEvent(t, "b", newReading(shared, "DCGM_FI_DEV_GPU_UTIL", "2", start), newReading(secret, "DCGM_FI_DEV_GPU_UTIL", "3", start))}
	return mine, foreign
}

func TestInvisibleHostsAreAbsent(t *testing.T) {
	mine, foreign := eventsOfTwo(t)
	both, only, none := newWorldOf(t, append(mine, foreign...)), newWorldOf(t, mine), newWorldOf(t, nil)
	for _, query := range []string{
		`{cluster{gpuCount hostCount}}`, `{hosts{name gpus{id}}}`, `{gpus{id host modelName}}`, `{gpu(id:"GPU-a0"){id host hosts}}`, `{gpu(id:"GPU-b1"){id}}`, `{gpu(id:"b:1"){id}}`,
		`{host(name:"b"){name}}`, `{host(name:"none"){name}}`, `{telemetry(limit:10){count entries{host}}}`, `{telemetry(limit:10,host:["b"]){count}}`,
		`{telemetry(limit:10,gpu:["GPU-b1"]){count}}`, `{cluster(asOf:"2025-07-18T20:42:35Z"){gpuCount hostCount}}`, `{telemetry(step:"1h"){count}}`,
	} {
		got, want := both.engine.Execute(contextOf(t, "host=a"), Request{Query: query}), only.engine.Execute(everybody(t), Request{Query: query})
		if strings.Contains(string(want.JSON), "Cannot query") || strings.Contains(string(want.JSON), "must not have") || strings.Contains(string(want.JSON), "Unknown arg") || strings.Contains(string(want.JSON), "must have") {
			t.Fatalf("%s: %s", query, want.JSON)
		}
		if string(got.JSON) != string(want.JSON) {
			t.Errorf("%s: %s, want %s", query, got.JSON, want.JSON)
		}
		got = both.engine.Execute(t.Context(), Request{Query: query})
		if want := none.engine.Execute(t.Context(), Request{Query: query}); string(got.JSON) != string(want.JSON) || !strings.Contains(string(got.JSON), "say who you are") {
			t.Errorf("%s of nobody: %s, want %s", query, got.JSON, want.JSON)
		}
	}
}

func TestSubscriptionOfAScope(t *testing.T) {
	mine, foreign := eventsOfTwo(t)
	w := newWorldOf(t, append(mine, foreign...))
	results, bad := w.engine.Subscribe(contextOf(t, "host=a"), Request{Query: `subscription{gpuMetrics{gpus{id host}}}`})
	if bad != nil {
		t.Fatalf("refused: %s", bad.JSON)
	}
	for result := range results {
		if text := string(result); !strings.Contains(text, "GPU-a0") || strings.Contains(text, `"host":"b"`) || strings.Contains(text, "GPU-b1") {
			t.Errorf("got %s, want the GPU of host a alone", text)
		}
		break
	}
}

// crowded is a hub that serves as many scopes as it can.
type crowded struct{ feeds }

func (crowded) In(access.Scope) (*live.Feed, error) { return nil, live.ErrTooManyScopes }

func TestTooManyScopesIsNoFaultOfTheSender(t *testing.T) {
	w := newWorld(t)
	w.engine.feeds = crowded{w.engine.feeds}
	r := w.engine.Execute(everybody(t), Request{Query: `{cluster{gpuCount}}`})
	if !r.Unanswered || !strings.Contains(string(r.JSON), "try again") {
		t.Errorf("got %s", r.JSON)
	}
}

// A GPU goes from one namespace to another: neither sees what it was with the other, now or in the past.
func TestPastOfANamespace(t *testing.T) {
	before := &events.Identity{UUID: "GPU-a0", Index: "0", Pod: "a-pod", Namespace: "team-a"}
	after := &events.Identity{UUID: "GPU-a0", Index: "0", Pod: "z-pod", Namespace: "team-z"}
	w := newWorldOf(t, []events.Event{
		newEvent(t, "a", newReading(before, "DCGM_FI_DEV_GPU_UTIL", "11.125", start)),
		newEvent(t, "a", newReading(after, "DCGM_FI_DEV_GPU_UTIL", "22.125", start+events.Timestamp(time.Hour))),
	})
	then, later := (start + events.Timestamp(time.Minute)).String(), (start + events.Timestamp(61*time.Minute)).String()
	for _, one := range []struct {
		scope, query string
		a, z         bool // whose readings the answer has
	}{
		{"namespace=team-a", `{gpu(id:"GPU-a0"){id gpuUtilization}}`, false, false},
		{"namespace=team-a", `{gpu(id:"GPU-a0",asOf:"` + then + `"){id gpuUtilization}}`, true, false},
		{"namespace=team-a", `{gpu(id:"GPU-a0",asOf:"` + later + `"){id gpuUtilization}}`, false, false},
		{"namespace=team-z", `{gpu(id:"GPU-a0",asOf:"` + then + `"){id gpuUtilization}}`, false, false},
		{"namespace=team-z", `{gpu(id:"GPU-a0",asOf:"` + later + `"){id gpuUtilization}}`, false, true},
	} {
		got := string(w.engine.Execute(contextOf(t, one.scope), Request{Query: one.query}).JSON)
		if strings.Contains(got, "11.125") != one.a || strings.Contains(got, "22.125") != one.z {
			t.Errorf("%s: %s is %s", one.scope, one.query, got)
		}
	}
}
