package deploy

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// TestMetrics runs every program, uses it in every way that creates series, and holds what /metrics then shows to the rules: names and
// units are as Prometheus advises, labels are bounded, docs/METRICS.md has all of it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	r := startMetricsRig(t)
	t.Run("labels", func(t *testing.T) { checkSeriesDoNotGrow(t, r) })
	t.Run("lint", func(t *testing.T) { checkMetricsAreClean(t, r) })
	t.Run("document", func(t *testing.T) { checkMetricsDocument(t, r) })
}

// checkMetricsAreClean has the linter of Prometheus, and promtool where it is installed, look at each program's metrics.
func checkMetricsAreClean(t *testing.T, r *metricsRig) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed (Debian: package prometheus), so only its library looks at the metrics")
	}
	for name := range r.admins {
		text := r.scrape(t, name)
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil || len(problems) > 0 {
			t.Errorf("metrics of %s: %v %v", name, problems, err)
		}
		if tool == "" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), tool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics for %s: %v\n%s", name, err, out)
		}
	}
}

// family is a metric with the programs that export it.
type family struct {
	name, kind, help string
	labels           []string
	programs         []string
}

// isOurs reports whether a metric is not one of Go or of the process.
func isOurs(name string) bool { return strings.HasPrefix(name, "telemetry_") }

// ownFamilies returns our metrics of all programs, by name. The queryd of several clusters counts for the metrics that only it has.
func ownFamilies(t *testing.T, r *metricsRig) []family {
	t.Helper()
	all := map[string]*family{}
	for _, program := range []string{"ingestd", "collectd", "queryd", "standalone", severalClusters} {
		for name, f := range r.families(t, program) {
			known, found := all[name]
			if !isOurs(name) || found && program == severalClusters {
				continue
			}
			made := &family{name: name, kind: strings.ToLower(f.GetType().String()), help: f.GetHelp(), labels: labelsOf(f)}
			if !found {
				known, all[name] = made, made
			}
			if known.kind != made.kind || known.help != made.help || !slices.Equal(known.labels, made.labels) {
				t.Errorf("%s differs between %v and %s: %+v, %+v", name, known.programs, program, known, made)
			}
			known.programs = append(known.programs, program)
		}
	}
	var list []family
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[name])
	}
	return list
}

// labelsOf returns the names of the labels of a metric, without the ones of buckets.
func labelsOf(f *dto.MetricFamily) []string {
	var names []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !slices.Contains(names, l.GetName()) {
				names = append(names, l.GetName())
			}
		}
	}
	slices.Sort(names)
	return names
}

const metricsHead = `# Metrics

Every metric that the programs export at ` + "`/metrics`" + ` of their admin ports, with its type, its labels and the programs that have it. Beside them each
program exports the usual metrics of Go (` + "`go_…`" + `) and of the process (` + "`process_…`" + `). [OPERATE.md](OPERATE.md#watching-it) says which to watch; rules and
dashboards are in [deploy/prometheus](../deploy/prometheus) and [deploy/grafana](../deploy/grafana).

No label has a value that a sender or a caller chooses: no host, no GPU, no file, no upload, no user, no path. [Labels](#labels) has the values of each.
A queryd with ` + "`-query.cells`" + ` adds the label ` + "`cluster`" + `, a name of that file, to the metrics of a cluster. Series whose labels are known beforehand begin with 0 when the
program starts, so that the first event is an increase.

A scrape of standalone, which has all parts, takes 2.6 ms on two busy cores, the client's share included, and is 40 KB; every 15 seconds, that is 0.02 % of a core
(` + "`go test ./deploy/standalone/program -run '^$' -bench Scrape -benchmem`" + `). It reads neither etcd nor a disk: sizes and ages are measured beforehand.

This page is generated from the metrics of running programs: run ` + "`go test ./deploy -run TestMetrics -update`" + ` after changing one.
`

func checkMetricsDocument(t *testing.T, r *metricsRig) {
	var page strings.Builder
	page.WriteString(metricsHead)
	group := ""
	for _, f := range ownFamilies(t, r) {
		first, _, _ := strings.Cut(strings.TrimPrefix(f.name, "telemetry_"), "_")
		if first != group {
			group = first
			fmt.Fprintf(&page, "\n## %s\n\n| metric | type | labels | programs | meaning |\n|---|---|---|---|---|\n", group)
		}
		labels := "–"
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", f.name, f.kind, labels, strings.Join(f.programs, ", "), f.help)
	}
	page.WriteString("\n## Labels\n\n| label | values | at most, in a program |\n|---|---|---:|\n")
	for _, l := range labelRules() {
		fmt.Fprintf(&page, "| `%s` | %s | %d |\n", l.label, l.meaning, l.most)
	}
	path := filepath.Join("..", "docs", "METRICS.md")
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(readText(t, path), page.String()); diff != "" {
		t.Errorf("docs/METRICS.md is not what the programs export: run go test ./deploy -run TestMetrics -update (-page +programs):\n%s", diff)
	}
}
