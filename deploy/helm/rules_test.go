package helm

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// renderedRules returns the alerts of a release with these values, by name, and the number of all rules.
func renderedRules(t *testing.T, monitoring, more map[string]any) (runbooks map[string]string, rules int) {
	t.Helper()
	monitoring["enabled"] = true
	values := map[string]any{"monitoring": map[string]any{"prometheusRule": monitoring}}
	maps.Copy(values, more)
	runbooks = map[string]string{}
	for _, o := range decodeObjects(t, documents(t, render(t, values))) {
		typed, ok := o.typed.(*prometheusRule)
		if !ok {
			continue
		}
		for _, group := range typed.Spec.Groups {
			rules += len(group.Rules)
			for _, r := range group.Rules {
				if r.Alert != "" {
					runbooks[r.Alert] = r.Annotations["runbook_url"]
				}
			}
		}
	}
	return runbooks, rules
}

func TestReleaseHasTheRulesOfItsParts(t *testing.T) {
	t.Parallel()
	all, rules := renderedRules(t, map[string]any{}, nil)
	source := 0
	for _, path := range copiedFiles(t, "rules") {
		text := string(readFile(t, path))
		source += strings.Count(text, "- alert:") + strings.Count(text, "- record:")
	}
	if rules != source {
		t.Errorf("the release has %d rules, its files %d", rules, source)
	}
	const pages = "https://git.example.org/pipeline/blob/main/"
	for name, c := range map[string]struct {
		monitoring, values map[string]any
		left               []string // alerts that are left out
	}{
		"runbooks by a prefix":   {map[string]any{"runbooks": pages}, nil, nil},
		"no gateway":             {map[string]any{}, map[string]any{"nexusGateway": map[string]any{"enabled": false}}, []string{"TelemetryNoQueryd"}},
		"no streamer":            {map[string]any{}, map[string]any{"nexusStreamer": map[string]any{"enabled": false}}, []string{"TelemetryNoIngestd"}},
		"no collector":           {map[string]any{}, map[string]any{"nexusCollector": map[string]any{"enabled": false}}, []string{"TelemetryNoCollectd"}},
		"without alerts of GPUs": {map[string]any{"gpu": false}, nil, slices.DeleteFunc(slices.Collect(maps.Keys(all)), func(name string) bool { return !strings.HasPrefix(name, "GPU") })},
	} {
		prefix, _ := c.monitoring["runbooks"].(string)
		want := map[string]string{}
		for alert, runbook := range all {
			if !slices.Contains(c.left, alert) {
				want[alert] = prefix + runbook
			}
		}
		if got, _ := renderedRules(t, c.monitoring, c.values); !maps.Equal(got, want) {
			t.Errorf("%s: got %d alerts (%q), want %d", name, len(got), got, len(want))
		}
	}
}
