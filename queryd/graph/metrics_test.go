package graph

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestOperationsAreCountedByKindAndResult(t *testing.T) {
	w := newWorld(t)
	reg := prometheus.NewRegistry()
	if err := w.engine.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		`{gpu(id:"GPU-s"){host}}`, `{gpu(id:"GPU-s"){host}}`, `{gpu(id:"nobody"){nonsense}}`, `{`, `subscription{gpuMetrics{snapshot}}`, `{telemetry(start:"x"){entries{host}}}`,
	} {
		w.engine.Execute(everybody(t), Request{Query: query})
	}
	results, refused := w.engine.Subscribe(everybody(t), Request{Query: `subscription{gpuMetrics{snapshot}}`})
	if refused != nil {
		t.Fatalf("refused: %s", refused.JSON)
	}
	for range results {
		break
	}
	if _, refused := w.engine.Subscribe(everybody(t), Request{Query: `{hosts{name}}`}); refused == nil {
		t.Error("a query was taken as a subscription")
	}
	counted := countOperations(t, reg)
	for labels, n := range map[string]float64{
		"graph_operations_total query ok": 2, "graph_operations_total query refused": 2, "graph_operations_total unknown refused": 1,
		"graph_operations_total subscription refused": 2, "graph_operations_total subscription ok": 1,
		"graph_cache_hits_total": 2, "graph_cache_misses_total": 6,
	} {
		if got := counted[labels]; got != n {
			t.Errorf("%s is %v, want %v", labels, got, n)
		}
	}
}

// countOperations returns the counters by their names and label values.
func countOperations(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue()
		}
	}
	return all
}
