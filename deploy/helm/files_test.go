package helm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// copiedFiles returns the files that the chart has from other directories, by their path in the chart. A chart is packed
// without files outside of it.
func copiedFiles(t *testing.T, kind string) map[string]string {
	t.Helper()
	pattern := map[string]string{"rules": "../prometheus/*.rules.yml", "dashboards": "../grafana/*.json"}[kind]
	sources, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, source := range sources {
		all[filepath.Join(chartDir, "files", kind, filepath.Base(source))] = source
	}
	return all
}

// TestCopiedFilesAreCurrent compares the rules and dashboards in the chart with their sources; -update copies them.
func TestCopiedFilesAreCurrent(t *testing.T) {
	for _, kind := range []string{"rules", "dashboards"} {
		want := copiedFiles(t, kind)
		there, err := filepath.Glob(filepath.Join(chartDir, "files", kind, "*.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range there {
			if want[path] != "" || strings.HasPrefix(filepath.Base(path), ".") {
				continue
			}
			if *update {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				continue
			}
			t.Errorf("%s has no source any more: run go test ./deploy/helm -update", path)
		}
		for path, source := range want {
			compareOrUpdate(t, path, readFile(t, source))
		}
	}
}

// compareOrUpdate compares a generated file with its content, or writes it with -update.
func compareOrUpdate(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current (%v): run go test ./deploy/helm -update", path, err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
