package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// resource returns the name of a resource.
func resource(group, version, name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: name}
}

// decodeObjects returns the objects of a text with a YAML document each. A key that stands twice is an error.
func decodeObjects(text string) (all []*unstructured.Unstructured, err error) {
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &o.Object); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, document)
		}
		if len(o.Object) > 0 { // a document may hold comments alone
			all = append(all, o)
		}
	}
}

// dryRun has the API server check an object as strictly as it can, without storing it.
func (c *cluster) dryRun(ctx context.Context, o *unstructured.Unstructured, namespace string) error {
	return c.post(ctx, o, namespace, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}})
}

// post sends an object, into the namespace if it names none and its kind has one.
func (c *cluster) post(ctx context.Context, o *unstructured.Unstructured, namespace string, options metav1.CreateOptions) error {
	kind := o.GroupVersionKind()
	mapping, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = c.objects.Resource(mapping.Resource)
	if mapping.Scope.Name() == "namespace" {
		if own := o.GetNamespace(); own != "" {
			namespace = own
		}
		target = c.objects.Resource(mapping.Resource).Namespace(namespace)
	}
	_, err = target.Create(ctx, o, options)
	return err
}

// podOf returns the pod that an object makes, nil for an object that makes none.
func podOf(o *unstructured.Unstructured) *unstructured.Unstructured {
	path := map[string][]string{
		"Deployment": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"}, "Job": {"spec", "template"},
		"CronJob": {"spec", "jobTemplate", "spec", "template"},
	}[o.GetKind()]
	template, found, err := unstructured.NestedMap(o.Object, path...)
	if path == nil || err != nil || !found {
		return nil
	}
	pod := &unstructured.Unstructured{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetName(strings.ToLower(o.GetKind()) + "-" + o.GetName())
	claims, _, _ := unstructured.NestedSlice(o.Object, "spec", "volumeClaimTemplates") // other kinds have none
	volumes, _, _ := unstructured.NestedSlice(template, "spec", "volumes")
	for _, claim := range claims { // as the controller of stateful sets does
		name, _, _ := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
		volumes = append(volumes, map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name + "-" + o.GetName() + "-0"}})
	}
	if len(claims) > 0 {
		_ = unstructured.SetNestedSlice(pod.Object, volumes, "spec", "volumes") // a pod without a spec is refused anyway
	}
	return pod
}
