package observe

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"
)

// architecture is the list "Metrics to Monitor" of the document that the pipeline is built after.
const architecture = `
Streamer: Upload rate, Processing latency, Error rate
Gateway: Query rate, Response time, Cache hit rate
Collector: Processing rate, Queue depth, Storage latency
Message Queue: Queue depth, Message age, Throughput
`

func TestEveryMetricToMonitorHasAnExpression(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	component := ""
	for _, m := range MonitoredMetrics() {
		if m.Component == component {
			list.WriteString(", " + m.Name)
		} else {
			list.WriteString("\n" + m.Component + ": " + m.Name)
		}
		component = m.Component
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(m.Expr); err != nil {
			t.Errorf("%s of %s: %v", m.Name, m.Component, err)
		}
		if !strings.Contains(m.Expr, m.Metric) {
			t.Errorf("%s of %s: the expression %s is not about %s", m.Name, m.Component, m.Expr, m.Metric)
		}
		if strings.Contains(m.Expr, "|") {
			t.Errorf("%s of %s: %s cannot stand in a table", m.Name, m.Component, m.Expr)
		}
	}
	if diff := cmp.Diff(architecture, list.String()+"\n"); diff != "" {
		t.Errorf("the list differs from the architecture's (-architecture +ours):\n%s", diff)
	}
}

func TestOperateShowsTheMetricsToMonitor(t *testing.T) {
	t.Parallel()
	const path = "../../docs/OPERATE.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, behind, found := strings.Cut(string(text), monitoredHead)
	if !found {
		t.Fatalf("%s has no table that begins with\n%s", path, monitoredHead)
	}
	for strings.HasPrefix(behind, "|") { // rows of the present table
		_, behind, _ = strings.Cut(behind, "\n")
	}
	want := before + writeMonitored(MonitoredMetrics()) + behind
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s differs; run go test ./deploy/observe -run TestOperateShows -update (-want +got):\n%s", path, diff)
	}
}
