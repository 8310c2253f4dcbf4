package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// releaseNamespace is the namespace of the release whose objects are stored.
const releaseNamespace = "telemetry"

// chartPath is the chart's path in the architecture document's command, as far as it may be another one here.
const chartPath = "CHART"

// step is a command of helm, and the number of replicas that a Deployment or StatefulSet of the gateway has after it.
type step struct {
	command  string
	gateways int64
	refused  string // text of the error of a command that has to fail; it makes no revision
}

// deletion is the begin of a step that removes a StatefulSet and leaves its pods, as docs/DEPLOY.md says under Larger volumes.
const deletion = "delete statefulset --cascade=orphan "

// releaseSteps returns the commands in order. The second one is the architecture document's own, but for the path.
func releaseSteps() []step {
	return []step{
		{"upgrade --install telemetry-pipeline CHART -f CHART/values-nexus.yaml", 2, ""},
		{"upgrade telemetry-pipeline CHART -f CHART/values-nexus.yaml", 2, ""},
		{"upgrade telemetry-pipeline CHART -f CHART/values-nexus.yaml --set nexusGateway.replicaCount=3 --set-string nexusStreamer.env.MAX_UPLOAD_SIZE=209715200", 3, ""},
		// An autoscaler takes over what runs; there is none here that could change it.
		{"upgrade telemetry-pipeline CHART -f CHART/values-nexus.yaml --set nexusGateway.autoscaling.enabled=true", 3, ""},
		{"upgrade telemetry-pipeline CHART -f CHART/values-nexus.yaml --set etcd.persistence.size=50Gi", 3, "Larger volumes"},
		{"rollback telemetry-pipeline 1", 2, ""},
		{deletion + release + "-etcd", 2, ""},
		{"upgrade telemetry-pipeline CHART -f CHART/values-nexus.yaml --set etcd.persistence.size=50Gi --set etcd.initialClusterState=existing", 2, ""},
	}
}

// checkRelease installs the chart for good, upgrades it and rolls it back.
func (k *chartCheck) checkRelease(ctx context.Context) error {
	k.report.line("\n== a release in namespace %s, stored", releaseNamespace)
	if err := k.cluster.createNamespace(ctx, releaseNamespace); err != nil {
		return err
	}
	if err := k.cluster.create(ctx, defaultAccount(), releaseNamespace); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go k.cluster.completeJobs(ctx, releaseNamespace)
	revision := 0
	for _, s := range releaseSteps() {
		if name, ok := strings.CutPrefix(s.command, deletion); ok {
			if err := k.cluster.removeStatefulSet(ctx, name); err != nil {
				return err
			}
			k.report.line("done: %s", s.command)
			continue
		}
		args := strings.Fields(strings.ReplaceAll(s.command, chartPath, filepath.ToSlash(k.chart)))
		_, err := k.helm.run(ctx, append(args, "--namespace", releaseNamespace, "--timeout", "1m")...)
		switch {
		case s.refused != "" && (err == nil || !strings.Contains(err.Error(), s.refused)):
			k.report.fault("helm %s: got %v, want it refused with %q", s.command, err, s.refused)
			return nil
		case s.refused != "":
			k.report.line("refused: helm %s: … %s …", s.command, s.refused)
		case err != nil:
			k.report.fault("%v", err)
			return nil
		default:
			revision++
			k.report.line("done: helm %s", s.command)
		}
		if err := k.checkStored(ctx, revision, s.gateways); err != nil {
			return err
		}
	}
	if err := k.checkRunbooks(ctx); err != nil {
		return err
	}
	notes, err := k.helm.run(ctx, "get", "notes", release, "--namespace", releaseNamespace)
	if err != nil || strings.TrimSpace(notes) == "" {
		k.report.fault("the release has no notes: %v", err)
	}
	return nil
}

// checkStored checks that the objects of the release's newest revision are stored, with the replicas that they should have.
func (k *chartCheck) checkStored(ctx context.Context, revision int, gateways int64) error {
	text, err := k.helm.run(ctx, "get", "manifest", release, "--namespace", releaseNamespace)
	if err != nil {
		return err
	}
	objects, err := decodeObjects(text)
	if err != nil {
		return err
	}
	kinds := map[string]int{}
	for _, o := range objects {
		stored, err := k.cluster.get(ctx, o)
		if err != nil {
			k.report.fault("%s %s is not stored: %v", o.GetKind(), o.GetName(), err)
			continue
		}
		kinds[o.GetKind()]++
		if name := o.GetName(); name == release+"-nexus-gateway" && slices.Contains([]string{"Deployment", "StatefulSet"}, o.GetKind()) {
			if n, _, _ := unstructured.NestedInt64(stored.Object, "spec", "replicas"); n != gateways { // a missing number is none of these
				k.report.fault("%s %s has %d replicas, want %d", o.GetKind(), name, n, gateways)
			}
		}
	}
	k.report.line("stored: %s", countText(kinds))
	return k.checkHistory(ctx, revision)
}

// checkHistory checks that helm counts the revision as deployed.
func (k *chartCheck) checkHistory(ctx context.Context, revision int) error {
	text, err := k.helm.run(ctx, "history", release, "--namespace", releaseNamespace, "-o", "json")
	if err != nil {
		return err
	}
	var history []struct {
		Revision int
		Status   string
	}
	if err := json.Unmarshal([]byte(text), &history); err != nil {
		return fmt.Errorf("reading helm's history: %w in %s", err, text)
	}
	if last := history[len(history)-1]; last.Revision != revision || last.Status != "deployed" {
		k.report.fault("helm's last revision is %d, %s, want %d, deployed", last.Revision, last.Status, revision)
	}
	return nil
}

// get returns the stored form of an object of the release.
func (c *cluster) get(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	kind := o.GroupVersionKind()
	mapping, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == "namespace" {
		return c.objects.Resource(mapping.Resource).Namespace(releaseNamespace).Get(ctx, o.GetName(), metav1.GetOptions{})
	}
	return c.objects.Resource(mapping.Resource).Get(ctx, o.GetName(), metav1.GetOptions{})
}

// removeStatefulSet removes a StatefulSet of the release. There are no pods here, and no controller that would remove or orphan them.
func (c *cluster) removeStatefulSet(ctx context.Context, name string) error {
	background := metav1.DeletePropagationBackground
	sets := c.objects.Resource(resource("apps", "v1", "statefulsets")).Namespace(releaseNamespace)
	if err := sets.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		return fmt.Errorf("removing the StatefulSet %s: %w", name, err)
	}
	return nil
}
