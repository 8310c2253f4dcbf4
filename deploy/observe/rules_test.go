package observe

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const ruleDirectory = "../prometheus"

var ruleFiles = []string{"pipeline", "gpu"}

// ruleGroups is a file of rules; an unknown field is an error.
type ruleGroups struct {
	Groups []struct {
		Name  string     `yaml:"name"`
		Rules []ruleText `yaml:"rules"`
	} `yaml:"groups"`
}

// ruleText is an alert or a recording rule.
type ruleText struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// readRules returns the rules of a file, whose expressions parse.
func readRules(t *testing.T, name string) []ruleText {
	t.Helper()
	text, err := os.Open(filepath.Join(ruleDirectory, name+".rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	dec := yaml.NewDecoder(text)
	dec.KnownFields(true)
	var file ruleGroups
	if err := dec.Decode(&file); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var all []ruleText
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	for _, r := range all {
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr); err != nil {
			t.Errorf("%s: %s%s: %v", name, r.Alert, r.Record, err)
		}
	}
	return all
}

// alertsOf returns the alerts of a file of rules.
func alertsOf(t *testing.T, name string) []ruleText {
	t.Helper()
	var all []ruleText
	for _, r := range readRules(t, name) {
		if r.Alert != "" {
			all = append(all, r)
		}
	}
	if len(all) < 30 {
		t.Fatalf("%s has %d alerts", name, len(all))
	}
	return all
}

var heading = regexp.MustCompile(`(?m)^#+ (.*)$`)

// anchors returns the anchors of a page's headings, as GitHub makes them of one-word headings and of sentences without marks.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		all[strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")] = true
	}
	return all
}

func TestAlertsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, name := range ruleFiles {
		seen := map[string]bool{}
		for _, r := range alertsOf(t, name) {
			if seen[r.Alert] {
				t.Errorf("two alerts are called %s", r.Alert)
			}
			seen[r.Alert] = true
			if s := r.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s lacks a summary or a description", r.Alert)
			}
			page, anchor, found := strings.Cut(r.Annotations["runbook_url"], "#")
			if !found || !strings.HasPrefix(page, "docs/runbooks/") {
				t.Errorf("%s has the runbook %q, want docs/runbooks/PAGE.md#SECTION", r.Alert, r.Annotations["runbook_url"])
				continue
			}
			if !anchors(t, filepath.Join("../..", page))[anchor] {
				t.Errorf("%s: %s has no section %s", r.Alert, page, anchor)
			}
		}
	}
}

// ruleTests is the part of a file of promtool test rules that is used here.
type ruleTests struct {
	Tests []struct {
		Expressions []struct {
			Expr     string `yaml:"expr"`
			EvalTime string `yaml:"eval_time"`
			Samples  []struct {
				Value float64 `yaml:"value"`
			} `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

var firingAlert = regexp.MustCompile(`ALERTS\{alertname="(\w+)", alertstate="firing"\}`)

// Each alert has a case in which it fires and one in which it does not.
func TestEveryAlertIsTestedBothWays(t *testing.T) {
	t.Parallel()
	for _, name := range ruleFiles {
		text, err := os.ReadFile(filepath.Join(ruleDirectory, name+".test.yml"))
		if err != nil {
			t.Fatal(err)
		}
		var file ruleTests
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		fires, quiet := map[string]bool{}, map[string]bool{}
		for _, test := range file.Tests {
			for _, e := range test.Expressions {
				m := firingAlert.FindStringSubmatch(e.Expr)
				switch {
				case m == nil:
				case len(e.Samples) > 0:
					fires[m[1]] = true
				default:
					quiet[m[1]] = true
				}
			}
		}
		for _, r := range alertsOf(t, name) {
			if !fires[r.Alert] || !quiet[r.Alert] {
				t.Errorf("%s.test.yml: %s fires in a case: %t; does not in another: %t; both are needed", name, r.Alert, fires[r.Alert], quiet[r.Alert])
			}
		}
	}
}

func TestPromtoolAcceptsTheRules(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian: package prometheus), so the rules are not checked and tested by it")
	}
	for _, name := range ruleFiles {
		for _, args := range [][]string{{"check", "rules", name + ".rules.yml"}, {"test", "rules", name + ".test.yml"}} {
			cmd := exec.CommandContext(t.Context(), tool, args...)
			cmd.Dir = ruleDirectory
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
	}
}
