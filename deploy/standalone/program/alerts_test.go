package program

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"telemetry-pipeline/deploy/observe"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/queryd/query"
)

// metricNames returns the names of all metrics that the parts of this program register, without the prefix of the daemon.
func metricNames(t *testing.T) map[string]bool {
	t.Helper()
	s := &settings{
		dataDir: t.TempDir(), store: eventlog.Config{},
		intake: ingest.Config{Host: "127.0.0.1", Port: ingest.FreePort}, serving: query.Config{Host: "127.0.0.1", Port: query.FreePort},
	}
	entrance := openEntrance(t)
	parts, err := s.buildParts(t.Context(), entrance, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	parts = append(parts, entrance.Part())
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

// processNames are the metrics that deploy/daemon registers itself, or a connection to etcd, some of them only with TLS; the metrics of Go and of the process
// are left out.
var processNames = []string{"build_info", "ready", "degraded", "tls_certificate_expiry_seconds", "tls_reload_failures_total", "etcd_certificate_expiry_seconds"}

// usedMetrics returns the names of the metrics in an expression; dashboards' variables are texts in it, or durations.
func usedMetrics(t *testing.T, expr string) []string {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", "1m"))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var names []string
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			names = append(names, selector.Name)
		}
		return nil
	})
	return names
}

// expressions returns the expressions of all rules and dashboards and of the metrics to monitor, by their file, and the names that rules record.
func expressions(t *testing.T) (byFile map[string][]string, recorded map[string]bool) {
	t.Helper()
	byFile, recorded = map[string][]string{}, map[string]bool{}
	paths, err := filepath.Glob("../../prometheus/*.rules.yml")
	boards, err2 := filepath.Glob("../../grafana/*.json")
	if err := errors.Join(err, err2); err != nil || len(paths) < 2 || len(boards) < 2 {
		t.Fatalf("rules %v, dashboards %v: %v", paths, boards, err)
	}
	for _, path := range append(paths, boards...) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file any
		if err := yaml.Unmarshal(text, &file); err != nil { // JSON is YAML
			t.Fatal(err)
		}
		eachField(file, func(name, value string) {
			switch name {
			case "expr":
				byFile[path] = append(byFile[path], value)
			case "record":
				recorded[value] = true
			}
		})
	}
	for _, m := range observe.MonitoredMetrics() {
		byFile["docs/OPERATE.md"] = append(byFile["docs/OPERATE.md"], m.Expr)
	}
	return byFile, recorded
}

// eachField calls f with each field of a document that is a text.
func eachField(in any, f func(name, value string)) {
	switch in := in.(type) {
	case []any:
		for _, item := range in {
			eachField(item, f)
		}
	case map[string]any:
		for name, value := range in {
			if text, is := value.(string); is {
				f(name, text)
			} else {
				eachField(value, f)
			}
		}
	}
}

// isKnownGPUMetric reports whether a name is a metric of the catalogue, as an exporter writes it.
func isKnownGPUMetric(name string) bool {
	m, _, found := metric.Lookup(name)
	return found && m.Name == name || furtherFields[name] != 0
}

// furtherFields are fields of DCGM that are not in the catalogue, and their ids in dcgm_fields.h of DCGM 4.
var furtherFields = map[string]int{
	"DCGM_FI_DEV_INFOROM_CONFIG_VALID":                         84,
	"DCGM_FI_DEV_FABRIC_MANAGER_STATUS":                        170,
	"DCGM_FI_DEV_FABRIC_HEALTH_MASK":                           174,
	"DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH":                          236,
	"DCGM_FI_DEV_NVLINK_COUNT_RX_MALFORMED_PACKET_ERRORS":      1204,
	"DCGM_FI_DEV_NVLINK_COUNT_RX_BUFFER_OVERRUN_ERRORS":        1205,
	"DCGM_FI_DEV_NVLINK_COUNT_RX_ERRORS":                       1206,
	"DCGM_FI_DEV_NVLINK_COUNT_RX_REMOTE_ERRORS":                1207,
	"DCGM_FI_DEV_NVLINK_COUNT_RX_GENERAL_ERRORS":               1208,
	"DCGM_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS":     1209,
	"DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS": 1211,
	"DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS":     1212,
	"DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS":            1213,
	"DCGM_FI_DEV_NVLINK_COUNT_RX_SYMBOL_ERRORS":                1214,
	"DCGM_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS":                1219,
	"DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_LOW":                   388,
	"DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_NONE":                  389,
}

// foreignNames are metrics of etcd and of kube-state-metrics.
var foreignNames = []string{"etcd_server_has_leader", "kube_cronjob_status_last_successful_time"}

// Alert rules and dashboards name only metrics that exist.
func TestRulesAndDashboardsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	ours := metricNames(t)
	for _, name := range processNames {
		ours[name] = true
	}
	byFile, recorded := expressions(t)
	for path, all := range byFile {
		if len(all) < 12 {
			t.Errorf("%s has %d expressions", path, len(all))
		}
		for _, expr := range all {
			for _, name := range usedMetrics(t, expr) {
				short, found := strings.CutPrefix(name, "telemetry_")
				short = histogramSeries.ReplaceAllString(short, "")
				switch {
				case found && ours[short], isKnownGPUMetric(name), recorded[name], name == "up", slices.Contains(foreignNames, name):
				case strings.HasPrefix(name, "go_goroutines"), strings.HasPrefix(name, "process_"):
				default:
					t.Errorf("%s names the metric %q, which nothing exports: %s", path, name, expr)
				}
			}
		}
	}
}

// docs/METRICS.md is made of the metrics that running programs show; here is that none stays hidden until something happens.
func TestMetricsDocumentHasEveryMetric(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range metricNames(t) {
		if !strings.Contains(string(page), "| `telemetry_"+name+"` |") {
			t.Errorf("docs/METRICS.md lacks %s: have the program create its series at the start, or TestMetrics in deploy do what creates it", name)
		}
	}
}

var histogramSeries = regexp.MustCompile(`_(bucket|sum|count)$`)
