package main

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// spoiled is a way to make an object of the chart wrong, and words of the API server's refusal.
type spoiled struct {
	name, kind string // kind Pod means the first pod template
	spoil      func(o map[string]any) error
	refusal    string
}

// refusals returns the checks of the checks: one for each thing that the API server is relied upon to refuse.
func refusals() []spoiled {
	set := func(value any, path ...string) func(map[string]any) error {
		return func(o map[string]any) error { return unstructured.SetNestedField(o, value, path...) }
	}
	firstOf := func(list string, spoil func(item map[string]any)) func(map[string]any) error {
		return func(o map[string]any) error {
			items, _, err := unstructured.NestedSlice(o, "spec", list)
			if err != nil || len(items) == 0 {
				return err
			}
			if item, ok := items[0].(map[string]any); ok {
				spoil(item)
			}
			return unstructured.SetNestedSlice(o, items, "spec", list)
		}
	}
	container := func(value any, path ...string) func(map[string]any) error {
		return firstOf("containers", func(c map[string]any) { _ = unstructured.SetNestedField(c, value, path...) }) // nothing refuses it, then
	}
	return []spoiled{
		{"a misspelt field", "Service", set("None", "spec", "clusterIp"), `unknown field "spec.clusterIp"`},
		{"a misspelt field of a pod", "Pod", container(map[string]any{}, "livenessProb"), `unknown field "spec.containers[0].livenessProb"`},
		{"a text in place of a number", "Deployment", set("two", "spec", "replicas"), "replicas"},
		{"a misspelt field of a custom resource", "ServiceMonitor", set(map[string]any{}, "spec", "selectr"), `unknown field "spec.selectr"`},
		{"a rule without an expression", "PrometheusRule", set([]any{map[string]any{"name": "a", "rules": []any{map[string]any{"alert": "A"}}}}, "spec", "groups"), "expr: Required value"},
		{"a name that is no DNS label", "Service", set("Upper_Case", "metadata", "name"), "metadata.name: Invalid value"},
		{"a port out of range", "Service", firstOf("ports", func(port map[string]any) { port["port"] = int64(70000) }), "must be between 1 and 65535"},
		{"minAvailable beside maxUnavailable", "PodDisruptionBudget", set(int64(1), "spec", "minAvailable"), "cannot be both set"},
		{"a privileged container", "Pod", container(map[string]any{"privileged": true}, "securityContext"), `violates PodSecurity "restricted:latest"`},
		{"a container that may be root", "Pod", container(int64(0), "securityContext", "runAsUser"), `violates PodSecurity "restricted:latest"`},
		{"a folder of the node", "Pod", mountNode, `violates PodSecurity "restricted:latest"`},
		{"an account that is not there", "Pod", set("nobody", "spec", "serviceAccountName"), `serviceaccount "nobody" not found`},
	}
}

// mountNode adds a volume with a folder of the node to a pod.
func mountNode(o map[string]any) error {
	volumes, _, err := unstructured.NestedSlice(o, "spec", "volumes")
	if err != nil {
		return err
	}
	return unstructured.SetNestedSlice(o, append(volumes, map[string]any{"name": "node", "hostPath": map[string]any{"path": "/"}}), "spec", "volumes")
}

// checkRefusals spoils objects that the API server accepted, and checks that it refuses each for the right reason.
func (k *chartCheck) checkRefusals(ctx context.Context, rendered []*unstructured.Unstructured) error {
	k.report.line("\n== the same objects with one thing wrong each")
	for _, s := range refusals() {
		o := firstOfKind(rendered, s.kind)
		if o == nil && s.kind == "PrometheusRule" { // a chart whose rules are elsewhere makes none
			o = ruleObject()
		}
		if o == nil {
			k.report.fault("%s: the chart makes no %s", s.name, s.kind)
			continue
		}
		const namespace = "values-1"
		o.SetNamespace(namespace)
		if err := k.cluster.dryRun(ctx, o.DeepCopy(), namespace); err != nil {
			k.report.fault("%s: %s %s is refused before anything is wrong with it: %v", s.name, s.kind, o.GetName(), err)
			continue
		}
		if err := s.spoil(o.Object); err != nil {
			return err
		}
		switch err := k.cluster.dryRun(ctx, o, namespace); {
		case err == nil:
			k.report.fault("%s (%s) is accepted", s.name, s.kind)
		case !strings.Contains(err.Error(), s.refusal):
			k.report.fault("%s (%s): refused for another reason: %v", s.name, s.kind, err)
		default:
			k.report.line("refused: %s (%s): … %s …", s.name, s.kind, s.refusal)
		}
	}
	return nil
}

// ruleObject returns an alert rule that is accepted.
func ruleObject() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": map[string]any{"name": "rules"},
		"spec": map[string]any{"groups": []any{map[string]any{"name": "a", "rules": []any{map[string]any{"alert": "A", "expr": "up == 0"}}}}},
	}}
}

// firstOfKind returns a copy of the first object of a kind; of kind Pod, the first pod template.
func firstOfKind(objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	for _, o := range objects {
		if pod := podOf(o); kind == "Pod" && pod != nil {
			return pod.DeepCopy()
		}
		if o.GetKind() == kind {
			return o.DeepCopy()
		}
	}
	return nil
}
