package helm

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const (
	chartDir    = "telemetry-pipeline"
	releaseName = "telemetry-pipeline"
	namespace   = "gpu"
)

// valuesFiles returns the paths of the files of values that tests render, by a short name. "default" has no file.
func valuesFiles(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/values/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("files of values: %d (%v)", len(files), err)
	}
	all := map[string]string{"default": "", "values-nexus": filepath.Join(chartDir, "values-nexus.yaml")}
	for _, path := range files {
		all[strings.TrimSuffix(filepath.Base(path), ".yaml")] = path
	}
	return all
}

// readValues returns the values of a file; none for "".
func readValues(t *testing.T, path string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if path == "" {
		return values
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := sigsyaml.Unmarshal(text, &values); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return values
}

// tryRender renders the chart with values as `helm template` does.
func tryRender(t *testing.T, name string, values map[string]any, apis ...string) (*release.Release, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	install := action.NewInstall(action.NewConfiguration())
	install.DryRunStrategy, install.ReleaseName, install.Namespace = action.DryRunClient, name, namespace
	install.KubeVersion = &common.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	install.APIVersions = apis
	made, err := install.RunWithContext(t.Context(), chart, values)
	if err != nil {
		return nil, err
	}
	rel, ok := made.(*release.Release)
	if !ok {
		t.Fatalf("got a %T", made)
	}
	return rel, nil
}

// render renders the chart with values that it has to accept.
func render(t *testing.T, values map[string]any, apis ...string) *release.Release {
	t.Helper()
	rel, err := tryRender(t, releaseName, values, apis...)
	if err != nil {
		t.Fatalf("rendering: %v", err)
	}
	return rel
}

// documents returns the YAML documents of a release, hooks included.
func documents(t *testing.T, rel *release.Release) []string {
	t.Helper()
	text := rel.Manifest
	for _, hook := range rel.Hooks {
		text += "\n---\n" + hook.Manifest
	}
	return splitDocuments(t, text)
}

// splitDocuments returns the documents of a text that are not empty.
func splitDocuments(t *testing.T, text string) (all []string) {
	t.Helper()
	reader := yaml.NewYAMLReader(newReader(text))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if err := sigsyaml.UnmarshalStrict(doc, &content); err != nil {
			t.Fatalf("not YAML: %v\n%s", err, doc)
		}
		if len(content) > 0 {
			all = append(all, string(bytes.TrimSpace(doc)))
		}
	}
}

// forEachValues runs a test with the objects of each file of values.
func forEachValues(t *testing.T, test func(t *testing.T, objects objectSet)) {
	t.Helper()
	files := valuesFiles(t)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, decodeObjects(t, documents(t, render(t, readValues(t, files[name])))))
		})
	}
}
