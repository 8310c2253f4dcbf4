package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// chartCheck checks a chart on a cluster.
type chartCheck struct {
	cluster *cluster
	helm    helm
	chart   string // its folder
	report  *report
}

// release is the name of the release in the architecture document.
const release = "telemetry-pipeline"

func (k *chartCheck) run(ctx context.Context) error {
	version, err := k.cluster.discovered.ServerVersion()
	if err != nil {
		return err
	}
	helmVersion, err := moduleField(ctx, "helm.sh/helm/v4", "Version")
	if err != nil {
		return err
	}
	k.report.line("kube-apiserver %s, helm %s", version.GitVersion, helmVersion)
	if err := k.cluster.installDefinitions(ctx); err != nil {
		return fmt.Errorf("installing custom resources: %w", err)
	}
	var rendered []*unstructured.Unstructured
	for i, values := range k.valuesFiles() {
		objects, err := k.checkValues(ctx, fmt.Sprintf("values-%d", i+1), values)
		if err != nil {
			return err
		}
		rendered = append(rendered, objects...)
	}
	if err := k.checkRefusals(ctx, rendered); err != nil {
		return err
	}
	return k.checkRelease(ctx)
}

// valuesFiles returns the files of values to render the chart with: "" for its defaults, the files beside them, and the files of its tests.
func (k *chartCheck) valuesFiles() []string {
	files := []string{""}
	for _, pattern := range []string{"values-*.yaml", filepath.Join("..", "testdata", "values", "*.yaml")} {
		found, _ := filepath.Glob(filepath.Join(k.chart, pattern)) // the patterns are well formed
		slices.Sort(found)
		files = append(files, found...)
	}
	return files
}

// checkValues has the API server check each object that the chart makes of a file of values, and each of its pods.
func (k *chartCheck) checkValues(ctx context.Context, namespace, values string) ([]*unstructured.Unstructured, error) {
	name := "values.yaml"
	args := []string{"template", release, k.chart, "--namespace", namespace, "--dry-run=server"}
	if values != "" {
		args = append(args, "-f", values)
		if relative, err := filepath.Rel(k.chart, values); err == nil {
			name = strings.TrimPrefix(filepath.ToSlash(relative), "../testdata/values/")
		}
	}
	k.report.line("\n== %s, dry run in a namespace that enforces restricted Pod Security", name)
	text, err := k.helm.run(ctx, args...)
	if err != nil {
		k.report.fault("%v", err)
		return nil, nil
	}
	objects, err := decodeObjects(text)
	if err != nil {
		k.report.fault("decoding the rendered chart: %v", err)
		return nil, nil
	}
	if err := k.cluster.createNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	kinds, pods := map[string]int{}, 0
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return cmp.Compare(orderOf(a), orderOf(b)) })
	for _, o := range append([]*unstructured.Unstructured{defaultAccount()}, objects...) {
		if err := k.cluster.dryRun(ctx, o.DeepCopy(), namespace); err != nil {
			k.report.fault("%s %s: %v", o.GetKind(), o.GetName(), err)
			continue
		}
		if o.GetKind() == "ServiceAccount" { // a pod whose account is not there is refused
			if err := k.cluster.create(ctx, o.DeepCopy(), namespace); err != nil {
				return nil, err
			}
		}
		kinds[o.GetKind()]++
	}
	kinds["ServiceAccount"]-- // the default one
	for _, o := range objects {
		pod := podOf(o)
		if pod == nil {
			continue
		}
		if err := k.cluster.createPriority(ctx, pod, namespace); err != nil {
			return nil, err
		}
		if err := k.cluster.dryRun(ctx, pod, namespace); err != nil {
			k.report.fault("the pod of %s %s: %v", o.GetKind(), o.GetName(), err)
			continue
		}
		pods++
	}
	k.report.line("accepted: %s", countText(kinds))
	k.report.line("accepted as pods of their own: %d pod templates", pods)
	if len(objects) == 0 || pods == 0 {
		k.report.fault("%d objects and %d pods: the chart makes nothing", len(objects), pods)
	}
	return objects, nil
}

// defaultAccount returns the service account that a controller makes in each namespace; none runs here.
func defaultAccount() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "default"}}}
}

// orderOf returns the place of an object among the others: accounts come first.
func orderOf(o *unstructured.Unstructured) int {
	if o.GetKind() == "ServiceAccount" {
		return 0
	}
	return 1
}

// countText writes counts by kind, in order.
func countText(counts map[string]int) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	return strings.Join(parts, ", ")
}
