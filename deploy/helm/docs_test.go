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

// TestDeployDocumentNamesValuesThatExist reads the values in backticks and behind --set.
func TestDeployDocumentNamesValuesThatExist(t *testing.T) {
	defaults := readValues(t, filepath.Join(chartDir, "values.yaml"))
	found := 0
	for _, m := range regexp.MustCompile("(?:`|--set )([a-zA-Z]+(?:\\.[a-zA-Z]+)*)(?:=[^` ]*)?(?:`| |$)").FindAllStringSubmatch(deployDocument(t), -1) {
		path := strings.Split(m[1], ".")
		if _, ours := defaults[path[0]]; !ours {
			continue
		}
		found++
		var at any = defaults
		for _, key := range path {
			inner, ok := at.(map[string]any)
			if at, ok = inner[key], ok && inner[key] != nil; !ok {
				t.Errorf("docs/DEPLOY.md names the value %s, which is not in values.yaml", m[1])
				break
			}
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
