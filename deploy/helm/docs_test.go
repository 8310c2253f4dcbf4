package helm

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	sigsyaml "sigs.k8s.io/yaml"
)

// deployDocument returns docs/DEPLOY.md.
func deployDocument(t *testing.T) string {
	t.Helper()
	return string(readFile(t, "../../docs/DEPLOY.md"))
}

// TestUpgradeRunbookNamesObjectsOfTheChart reads the objects of the chart's commands, and the values behind --set.
func TestUpgradeRunbookNamesObjectsOfTheChart(t *testing.T) {
	text := string(readFile(t, "../../docs/runbooks/upgrade.md"))
	rendered := map[string]bool{}
	for _, o := range decodeObjects(t, documents(t, render(t, nil))) {
		rendered[strings.ToLower(o.String())] = true
	}
	named := regexp.MustCompile(`\b(deployment|cronjob|statefulset)/([a-z0-9-]+)`).FindAllStringSubmatch(text, -1)
	for _, m := range named {
		if !rendered[m[0]] {
			t.Errorf("the chart has no %s", m[0])
		}
	}
	defaults := readValues(t, filepath.Join(chartDir, "values.yaml"))
	set := regexp.MustCompile(`--set ([a-zA-Z.]+)=`).FindAllStringSubmatch(text, -1)
	for _, m := range set {
		if !hasValue(defaults, m[1]) {
			t.Errorf("there is no value %s", m[1])
		}
	}
	if len(named) < 4 || len(set) < 3 {
		t.Errorf("found %d objects and %d values", len(named), len(set))
	}
}

// hasValue reports whether values have a path of keys.
func hasValue(values map[string]any, path string) bool {
	var at any = values
	for key := range strings.SplitSeq(path, ".") {
		inner, ok := at.(map[string]any)
		if at, ok = inner[key], ok && inner[key] != nil; !ok {
			return false
		}
	}
	return true
}

// TestDeployDocumentNamesValuesThatExist reads the values in backticks and behind --set.
func TestDeployDocumentNamesValuesThatExist(t *testing.T) {
	defaults := readValues(t, filepath.Join(chartDir, "values.yaml"))
	found := 0
	for _, m := range regexp.MustCompile("(?:`|--set )([a-zA-Z]+(?:\\.[a-zA-Z]+)*)(?:=[^` ]*)?(?:`| |$)").FindAllStringSubmatch(deployDocument(t), -1) {
		first, _, _ := strings.Cut(m[1], ".")
		if _, ours := defaults[first]; !ours {
			continue
		}
		if found++; !hasValue(defaults, m[1]) {
			t.Errorf("docs/DEPLOY.md names the value %s, which is not in values.yaml", m[1])
		}
	}
	if found < 20 {
		t.Errorf("found %d values", found)
	}
}

// TestDeployDocumentShowsValuesThatWork renders each block of YAML in the document.
func TestDeployDocumentShowsValuesThatWork(t *testing.T) {
	defaults := readValues(t, filepath.Join(chartDir, "values.yaml"))
	found := 0
	for _, m := range regexp.MustCompile(`(?m)(?:^    .*\n)+`).FindAllString(deployDocument(t), -1) {
		var values map[string]any
		if err := sigsyaml.Unmarshal([]byte(m), &values); err != nil || len(values) == 0 {
			continue // a command
		}
		ours := true
		for key := range values {
			_, known := defaults[key]
			ours = ours && known
		}
		if !ours {
			continue
		}
		found++
		decodeObjects(t, documents(t, render(t, values)))
	}
	if found < 4 {
		t.Errorf("found %d blocks of values", found)
	}
}
