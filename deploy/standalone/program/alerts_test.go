package program

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/queryd/query"
)

const alertRules = "../../prometheus/alerts.yml"

// metricNames returns the names of all metrics that the parts of this program register.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	s := &settings{
		dataDir: t.TempDir(), store: eventlog.Config{},
		intake: ingest.Config{Host: "127.0.0.1", Port: ingest.FreePort}, serving: query.Config{Host: "127.0.0.1", Port: query.FreePort},
	}
	parts, err := s.buildParts(t.Context(), openEntrance(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	for _, p := range parts {
		if p.Metrics != nil {
			if err := p.Metrics(reg); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range parts {
		if p.Close != nil {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	descs := make(chan *prometheus.Desc)
	go func() { reg.Describe(descs); close(descs) }()
	names := map[string]bool{}
	name := regexp.MustCompile(`fqName: "([^"]*)"`)
	for d := range descs {
		names[name.FindStringSubmatch(d.String())[1]] = true
	}
	return names
}

// The alert rules name only metrics that exist, and each has a runbook that exists.
func TestAlertsAreOfWhatExists(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	names := metricNames(t)
	alerts := strings.Split(string(text), "- alert: ")[1:]
	if len(alerts) < 5 {
		t.Fatalf("%d alerts in %s", len(alerts), alertRules)
	}
	part, expression, runbook := regexp.MustCompile(`[a-z][a-z0-9]*(_[a-z0-9]+)+`), regexp.MustCompile(`(?m)^ *expr: (.*)$`), regexp.MustCompile(`(?m)^ *runbook: (\S+)$`)
	for _, alert := range alerts {
		title, _, _ := strings.Cut(alert, "\n")
		expr, page := expression.FindStringSubmatch(alert), runbook.FindStringSubmatch(alert)
		if expr == nil || page == nil {
			t.Errorf("alert %s has no expression or no runbook", title)
			continue
		}
		used := part.FindAllString(expr[1], -1)
		if len(used) == 0 {
			t.Errorf("alert %s names no metric: %s", title, expr[1])
		}
		for _, name := range slices.Compact(used) {
			if !names[name] {
				t.Errorf("alert %s names the metric %s, which no part registers", title, name)
			}
		}
		if _, err := os.Stat(filepath.Join("../../..", page[1])); err != nil || filepath.Dir(page[1]) != "docs/runbooks" {
			t.Errorf("alert %s: runbook %s: %v", title, page[1], err)
		}
	}
}

// Prometheus's own checker accepts the rules.
func TestPromtoolAcceptsTheAlerts(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian: package prometheus), so the alert rules are not checked by it")
	}
	if out, err := exec.CommandContext(t.Context(), tool, "check", "rules", alertRules).CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}
