package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"telemetry-pipeline/events/wait"
)

// emptyPanels are panels whose queries find nothing on a fresh standalone with a demo: nothing failed, or no TLS.
var emptyPanels = []string{
	"Quarantine", "Archive heads", "Query errors", "Cache hits", "Certificates",
}

// A real Prometheus scrapes a running standalone, takes both files of rules, and evaluates every expression of the pipeline's and the
// fleet's dashboards without an error; each panel of the pipeline has data, or is listed.
func TestPrometheusEvaluatesEverything(t *testing.T) {
	server, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed (Debian: package prometheus), so no server evaluates the rules and dashboards")
	}
	dir := t.TempDir()
	admin, gateway := startStandalone(t, dir)
	api := startPrometheus(t, server, dir, admin)
	if !holdsWithin(t, 2*time.Minute, func() bool {
		awaitOK(t, gateway+"/api/v1/gpus") // so that there are queries
		return len(query(t, api, "sum(rate(telemetry_ingest_records_total[1m])) > 0 and sum(rate(telemetry_collect_records_total[1m])) > 0")) > 0
	}) {
		t.Fatal("Prometheus has no rates of the pipeline after two minutes")
	}
	for _, path := range dashboardPaths(t) {
		for _, p := range readDashboard(t, path).Panels {
			count := func() (found int) {
				for _, q := range p.Targets {
					found += len(query(t, api, substitute(q.Expr)))
				}
				return found
			}
			known := slices.Contains(emptyPanels, p.Title) || filepath.Base(path) != "pipeline.json"
			switch {
			case len(p.Targets) == 0: // a row
			case known:
				count() // without an error is enough
			case !holdsWithin(t, time.Minute, func() bool { return count() > 0 }):
				t.Errorf("%s: %q has no data", path, p.Title)
			}
		}
	}
	for _, m := range MonitoredMetrics() {
		if !holdsWithin(t, time.Minute, func() bool { return len(query(t, api, m.Expr)) > 0 }) {
			t.Errorf("%s of %s has no data: %s", m.Name, m.Component, m.Expr)
		}
	}
	checkLoadedRules(t, api)
}

// loadedRule is a rule as Prometheus reports it.
type loadedRule struct {
	Name, Health, LastError, State string
	Labels                         map[string]string
}

// isUnsettled reports whether a rule is not evaluated yet, or is a critical alert that waits or fires. Right after the start there are such:
// alerts for metrics that are absent wait until the first scrape.
func isUnsettled(r loadedRule) bool {
	return r.Health == "unknown" || r.Labels["severity"] == "critical" && r.State != "inactive"
}

// checkLoadedRules checks that Prometheus has evaluated every rule, and that nothing critical is pending or firing in a fresh standalone.
func checkLoadedRules(t *testing.T, api string) {
	t.Helper()
	type group struct{ Rules []loadedRule }
	var groups []group
	if !holdsWithin(t, time.Minute, func() bool {
		var answer struct{ Groups []group }
		get(t, api+"/api/v1/rules", &answer)
		groups = answer.Groups
		return !slices.ContainsFunc(groups, func(g group) bool {
			return len(g.Rules) == 0 || slices.ContainsFunc(g.Rules, isUnsettled)
		})
	}) {
		t.Error("Prometheus has not evaluated the rules, or something critical is wrong with a fresh standalone")
	}
	seen := 0
	for _, g := range groups {
		for _, r := range g.Rules {
			seen++
			if r.Health != "ok" {
				t.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
			if isUnsettled(r) {
				t.Errorf("%s is %s", r.Name, r.State)
			}
		}
	}
	want := 0
	for _, name := range ruleFiles {
		want += len(readRules(t, name))
	}
	if seen != want {
		t.Errorf("Prometheus has %d rules, the files have %d", seen, want)
	}
}

// startStandalone starts a demo and returns the address of its admin listener and the URL of its query API.
func startStandalone(t *testing.T, dir string) (admin, gateway string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(programVariable, "standalone")
	admin, queries := freeAddress(t), freeAddress(t)
	_, adminPort, _ := net.SplitHostPort(admin)
	_, queryPort, _ := net.SplitHostPort(queries)
	start(t, dir, self, "-demo", "-data-dir", filepath.Join(dir, "data"), "-port", queryPort, "-http.port", "0", "-admin.port", adminPort)
	awaitOK(t, "http://"+admin+"/ready")
	return admin, "http://" + queries
}

// prometheusConfig has two files of rules and a target.
const prometheusConfig = `
global: {scrape_interval: 1s, evaluation_interval: 2s}
rule_files: [%q, %q]
scrape_configs:
  - job_name: standalone
    static_configs: [{targets: [%q]}]
`

func startPrometheus(t *testing.T, server, dir, admin string) (api string) {
	t.Helper()
	rules, err := filepath.Abs(ruleDirectory)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(prometheusConfig,
		filepath.Join(rules, "pipeline.rules.yml"), filepath.Join(rules, "gpu.rules.yml"), admin)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	start(t, dir, server, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "tsdb"), "--web.listen-address", address, "--log.level", "warn")
	awaitOK(t, "http://"+address+"/-/ready")
	return "http://" + address
}

// freeAddress returns a loopback address that was free a moment ago: Prometheus has no port 0 that it reports.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// start runs a program until the test ends, and shows its output when the test failed.
func start(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	output := &strings.Builder{}
	cmd := exec.Command(program, args...) // not by t.Context, which would kill it
	cmd.Stdout, cmd.Stderr, cmd.Dir, cmd.WaitDelay = output, output, dir, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", program, output)
		}
	})
}

// holdsWithin waits until a condition holds, and reports whether it did in time.
func holdsWithin(t *testing.T, within time.Duration, holds func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for !holds() {
		if !wait.Sleep(ctx, 200*time.Millisecond) {
			return false
		}
	}
	return true
}

func awaitOK(t *testing.T, address string) {
	t.Helper()
	if !holdsWithin(t, time.Minute, func() bool {
		response, err := http.Get(address)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	}) {
		t.Fatalf("%s does not answer 200", address)
	}
}

// query returns the result of an instant query; a scalar counts as one series.
func query(t *testing.T, api, expr string) []any {
	t.Helper()
	var answer struct{ Result []any }
	get(t, api+"/api/v1/query?query="+url.QueryEscape(expr), &answer)
	return answer.Result
}

// get reads the data of an answer of Prometheus.
func get(t *testing.T, address string, data any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Status != "success" {
		t.Fatalf("%s: %s %s %v", address, strconv.Itoa(response.StatusCode), answer.Error, err)
	}
}
