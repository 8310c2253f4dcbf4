package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	_ "sigs.k8s.io/gateway-api/apis/v1" // so that go.mod keeps the module, of which definitions are read
)

// definitions are the files of custom resources that a chart may use, by the module that they come with.
func definitions() map[string][]string {
	return map[string][]string{
		"sigs.k8s.io/gateway-api": {
			"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
		},
		// Not in go.mod, since it would raise the versions of what the API server is built of.
		"github.com/cert-manager/cert-manager@v1.21.2": {
			"deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml", "deploy/crds/cert-manager.io_clusterissuers.yaml",
		},
		"github.com/prometheus-operator/prometheus-operator": {
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
	}
}

// installDefinitions stores the definitions of the custom resources and waits until their kinds are served.
func (c *cluster) installDefinitions(ctx context.Context) error {
	var installed []*unstructured.Unstructured
	for module, files := range definitions() {
		dir, err := downloadModule(ctx, module)
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				return err
			}
			objects, err := decodeObjects(string(text))
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			for _, o := range objects {
				if err := c.create(ctx, o, ""); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
			installed = append(installed, objects...)
		}
	}
	return c.awaitKinds(ctx, installed)
}

// downloadModule downloads a module, of go.mod or with a version, and returns its folder.
func downloadModule(ctx context.Context, module string) (string, error) {
	out, err := runGo(ctx, "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var downloaded struct{ Dir string }
	err = json.Unmarshal([]byte(out), &downloaded)
	return downloaded.Dir, err
}

// awaitKinds waits until the API server serves the kinds of definitions.
func (c *cluster) awaitKinds(ctx context.Context, definitions []*unstructured.Unstructured) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		c.kinds.Reset()
		err := ctx.Err()
		for _, d := range definitions {
			group, _, _ := unstructured.NestedString(d.Object, "spec", "group") // an empty one is no kind
			kind, _, _ := unstructured.NestedString(d.Object, "spec", "names", "kind")
			if _, missing := c.kinds.RESTMapping(schema.GroupKind{Group: group, Kind: kind}); missing != nil {
				err = missing
			}
		}
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
	}
}

// create stores an object for good.
func (c *cluster) create(ctx context.Context, o *unstructured.Unstructured, namespace string) error {
	return c.post(ctx, o, namespace, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
}

// createPriority stores the priority class of a pod, if it names one, as an administrator does, and waits until it counts.
func (c *cluster) createPriority(ctx context.Context, pod *unstructured.Unstructured, namespace string) error {
	name, _, _ := unstructured.NestedString(pod.Object, "spec", "priorityClassName") // none is no name
	if name == "" {
		return nil
	}
	err := c.create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": map[string]any{"name": name}, "value": int64(1000),
	}}, "")
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	for deadline := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		// Admission sees a new class a moment later.
		if err := c.dryRun(ctx, pod.DeepCopy(), namespace); err == nil || !strings.Contains(err.Error(), "no PriorityClass") {
			break // other refusals are reported by the check
		}
	}
	return ctx.Err()
}

// createNamespace makes a namespace that enforces a Pod Security level.
func (c *cluster) createNamespace(ctx context.Context, name string) error {
	return c.create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": name, "labels": map[string]any{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest",
		}},
	}}, "")
}
