package helm

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
)

var renderTo = flag.String("render", "", "directory to which the objects of each file of values are written, for other tools")

func TestEachFileOfValuesRendersAndLints(t *testing.T) {
	for name, path := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rel := render(t, readValues(t, path))
			docs := documents(t, rel)
			if len(decodeObjects(t, docs)) < 8 {
				t.Error("there are hardly any objects")
			}
			if *renderTo != "" {
				if err := os.WriteFile(filepath.Join(*renderTo, name+".yaml"), []byte(strings.Join(docs, "\n---\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if notes := rel.Info.Notes; !strings.Contains(notes, "port-forward") || strings.Contains(notes, "<no value>") || strings.Contains(notes, "%!") {
				t.Errorf("notes:\n%s", notes)
			}
			lint := action.NewLint()
			lint.Strict, lint.Namespace = true, namespace
			result := lint.Run([]string{chartDir}, readValues(t, path))
			for _, m := range result.Messages {
				if m.Severity >= 2 { // a warning
					t.Errorf("lint: %v", m)
				}
			}
			for _, err := range result.Errors {
				t.Errorf("lint: %v", err)
			}
		})
	}
}

func TestNamesOfTheDocument(t *testing.T) {
	t.Parallel()
	objects := decodeObjects(t, documents(t, render(t, readValues(t, filepath.Join(chartDir, "values-nexus.yaml")))))
	for _, want := range []string{
		"Deployment/telemetry-pipeline-nexus-streamer", "Deployment/telemetry-pipeline-nexus-gateway", "Deployment/telemetry-pipeline-nexus-collector",
		"Service/telemetry-pipeline-nexus-streamer", "Service/telemetry-pipeline-nexus-gateway", "StatefulSet/telemetry-pipeline-etcd",
	} {
		component := strings.TrimPrefix(want[strings.Index(want, "/")+1:], "telemetry-pipeline-")
		if got := objects.find(t, want).meta.Labels["app.kubernetes.io/component"]; got != component {
			t.Errorf("%s has the component %q", want, got)
		}
	}
}

func TestNamesStayShortEnough(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "gpu", strings.Repeat("long-", 10) + "abc", "my-telemetry-pipeline"} {
		rel, err := tryRender(t, name, readValues(t, "testdata/values/single-node.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range decodeObjects(t, documents(t, rel)) {
			limit := 63
			if o.kind == "StatefulSet" || o.kind == "CronJob" {
				limit = 52
			}
			if len(o.meta.Name) > limit {
				t.Errorf("release %s: %s has %d characters, at most %d work", name, o, len(o.meta.Name), limit)
			}
		}
	}
}

func TestOptionalKindsNeedTheirAPIOrAValue(t *testing.T) {
	t.Parallel()
	kinds := func(rel []object) (all []string) {
		for _, o := range rel {
			if o.kind == "ServiceMonitor" || o.kind == "PrometheusRule" || o.meta.Labels["grafana_dashboard"] != "" {
				all = append(all, o.kind)
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	force := map[string]any{"monitoring": map[string]any{
		"serviceMonitor": map[string]any{"enabled": true}, "prometheusRule": map[string]any{"enabled": true}, "dashboards": map[string]any{"enabled": true}}}
	never := map[string]any{"monitoring": map[string]any{
		"serviceMonitor": map[string]any{"enabled": false}, "prometheusRule": map[string]any{"enabled": false}, "dashboards": map[string]any{"enabled": false}}}
	all := []string{"ServiceMonitor"}
	if len(copiedFiles(t, "rules")) > 0 {
		all = append(all, "PrometheusRule")
	}
	if len(copiedFiles(t, "dashboards")) > 0 {
		all = append(all, "ConfigMap")
	}
	slices.Sort(all)
	const api = "monitoring.coreos.com/v1"
	for name, c := range map[string]struct {
		values map[string]any
		apis   []string
		want   []string
	}{
		"offline": {nil, nil, nil}, "a cluster that has them": {nil, []string{api}, all}, "forced": {force, nil, all}, "never": {never, []string{api}, nil},
	} {
		if got := kinds(decodeObjects(t, documents(t, render(t, c.values, c.apis...)))); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestWrongCombinationsAreRefused: each error names the value that has to change.
func TestWrongCombinationsAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"access: {enabled: false}":                        "access.open",
		"access: {open: true}":                            "access.open",
		"access: {oidc: {issuer: https://i.example.org}}": "access.oidc.audience",
		"etcd: {enabled: false}":                          "externalEtcd.endpoints",
		"etcd: {tls: {mode: existing}}":                   "etcd.tls.existing",
		"access: {existingSecret: p, principals: [{id: a, sha256: aa, roles: [read], scope: \"*\"}]}":                       "access.existingSecret",
		"nexusStreamer: {persistence: {enabled: true}, autoscaling: {enabled: true}}":                                       "do not go together",
		"tls: {enabled: true, existingSecret: t}\nhttpRoute: {enabled: true, host: h.example.org, parentRefs: [{name: g}]}": "httpRoute.backendTLS",
		"tls: {enabled: true}":                                                           "tls.existingSecret",
		"ingress: {enabled: true}":                                                       "ingress needs host",
		"httpRoute: {enabled: true, host: a.example.org}":                                "httpRoute.parentRefs",
		"nexusStreamer: {env: {HTTP_PORT: \"9000\"}}":                                    "targetPort",
		"nexusStreamer: {env: {UPLOAD_DIR: /var/uploads}}":                               "UPLOAD_DIR",
		"nexusGateway: {env: {PORT: \"0\"}}":                                             "PORT",
		"nexusGateway: {resources: {limits: {memory: 1Zi}}}":                             "memory",
		"archive: {url: s3://b, credentials: {accessKeyId: a}}":                          "archive.credentials.secretAccessKey",
		"etcd: {enabled: false}\nexternalEtcd: {endpoints: [a:2379], tls: {ingestd: s}}": "externalEtcd.tls",
	} {
		if _, err := tryRender(t, releaseName, parseValues(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
	}
}
