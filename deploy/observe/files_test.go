package observe

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"
)

var update = flag.Bool("update", false, "write deploy/grafana/*.json and the table of docs/OPERATE.md again")

func dashboards() map[string]*Dashboard {
	return map[string]*Dashboard{"pipeline": Pipeline(), "fleet": Fleet()}
}

func TestDashboardFiles(t *testing.T) {
	t.Parallel()
	for name, d := range dashboards() {
		want, err := d.WriteJSON()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("..", "grafana", name+".json")
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; write it with go test ./deploy/observe -run TestDashboardFiles -update", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the program makes; run go test ./deploy/observe -run TestDashboardFiles -update (-want +got):\n%s", path, diff)
		}
	}
}

// readDashboard returns the dashboard of a file, whose every field has to be known.
func readDashboard(t *testing.T, path string) *Dashboard {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	d := &Dashboard{}
	if err := dec.Decode(d); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return d
}

func dashboardPaths(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../grafana/*.json")
	if err != nil || len(paths) < 2 {
		t.Fatalf("dashboards %v, %v", paths, err)
	}
	return paths
}

func TestPanelsArePlacedAndExplained(t *testing.T) {
	t.Parallel()
	uids := map[string]string{}
	for _, path := range dashboardPaths(t) {
		d := readDashboard(t, path)
		if other, taken := uids[d.UID]; taken || d.UID == "" {
			t.Errorf("%s has the uid %q, which %q has too", path, d.UID, other)
		}
		uids[d.UID] = path
		if len(d.Templating.List) == 0 || d.Templating.List[0].Name != "datasource" || d.Templating.List[0].Type != "datasource" {
			t.Errorf("%s: the first variable does not choose the data source", path)
		}
		ids := map[int]bool{}
		for i, p := range d.Panels {
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%s: %q has the id %d of another panel", path, p.Title, p.ID)
			}
			ids[p.ID] = true
			g := p.GridPos
			if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > gridColumns {
				t.Errorf("%s: %q is outside the grid: %+v", path, p.Title, g)
			}
			for _, q := range d.Panels[:i] {
				if overlap(g, q.GridPos) {
					t.Errorf("%s: %q and %q overlap: %+v, %+v", path, p.Title, q.Title, g, q.GridPos)
				}
			}
			if p.Type != "row" {
				checkPanel(t, path, p)
			}
		}
	}
}

func overlap(a, b GridPos) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func checkPanel(t *testing.T, path string, p Panel) {
	t.Helper()
	if p.Description == "" || p.Title == "" || p.FieldConfig == nil || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
		t.Errorf("%s: %q lacks a title, a description, a unit or a query", path, p.Title)
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if p.Datasource == nil || q.Datasource == nil || *p.Datasource != *chosenSource() || *q.Datasource != *chosenSource() {
			t.Errorf("%s: %q does not use ${datasource}", path, p.Title)
		}
		if refs[q.RefID] {
			t.Errorf("%s: %q has two queries %s", path, p.Title, q.RefID)
		}
		refs[q.RefID] = true
	}
}

var variable = regexp.MustCompile(`\$(\w+)|\$\{(\w+)[^}]*\}`)

// substitute returns an expression as Grafana sends it with all values chosen.
func substitute(expr string) string {
	expr = strings.ReplaceAll(expr, "$__rate_interval", "1m")
	return variable.ReplaceAllString(expr, ".*")
}

func TestDashboardExpressionsParse(t *testing.T) {
	t.Parallel()
	p := parser.NewParser(parser.Options{})
	for _, path := range dashboardPaths(t) {
		d := readDashboard(t, path)
		known := []string{"__rate_interval"}
		for _, v := range d.Templating.List {
			checkVariables(t, path, v.Query, known)
			known = append(known, v.Name)
		}
		used := ""
		for _, panel := range d.Panels {
			for _, q := range panel.Targets {
				if _, err := p.ParseExpr(substitute(q.Expr)); err != nil {
					t.Errorf("%s: %q: %s: %v", path, panel.Title, q.Expr, err)
				}
				checkVariables(t, path, q.Expr, known)
				used += q.Expr
			}
		}
		for _, v := range d.Templating.List[1:] {
			if !strings.Contains(used, "$"+v.Name) {
				t.Errorf("%s: no query uses the variable %s", path, v.Name)
			}
		}
	}
}

func checkVariables(t *testing.T, path, expr string, known []string) {
	t.Helper()
	for _, m := range variable.FindAllStringSubmatch(expr, -1) {
		if name := m[1] + m[2]; !slices.Contains(known, name) {
			t.Errorf("%s: %s uses the variable %s, which is not defined in front of it", path, expr, name)
		}
	}
}
