package helm

import (
	"context"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	sigsyaml "sigs.k8s.io/yaml"
)

// previousValues are the values with which releases are stored: all objects that have immutable fields.
const previousValues = "nexusStreamer: {persistence: {enabled: true}}"

// TestUpgradesKeepImmutableFields compares the chart with stored renders of releases: an upgrade that changes a selector, a
// serviceName or a claim template is refused by Kubernetes. -update stores the present version, unless it is stored.
func TestUpgradesKeepImmutableFields(t *testing.T) {
	objects := decodeObjects(t, documents(t, render(t, parseValues(t, previousValues))))
	if *update {
		storeRelease(t, objects)
	}
	stored, err := filepath.Glob("testdata/previous/*.yaml")
	if err != nil || len(stored) == 0 {
		t.Fatalf("no stored release (%v): run go test ./deploy/helm -update", err)
	}
	for _, path := range stored {
		before := decodeObjects(t, splitDocuments(t, string(readFile(t, path))))
		if len(before) < 4 {
			t.Errorf("%s has %d objects", path, len(before))
		}
		for _, old := range before {
			if !objects.has(old.String()) {
				t.Errorf("%s: %s is gone: its volumes would stay behind", path, old)
				continue
			}
			if got, want := immutableFields(objects.find(t, old.String()).typed), immutableFields(old.typed); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s changes immutable fields:\n%+v\nwant\n%+v", path, old, got, want)
			}
		}
	}
}

// storeRelease writes the objects with immutable fields to testdata/previous, under the chart's version.
func storeRelease(t *testing.T, objects objectSet) {
	t.Helper()
	var meta struct{ Version string }
	if err := sigsyaml.Unmarshal(readFile(t, filepath.Join(chartDir, "Chart.yaml")), &meta); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "previous", meta.Version+".yaml")
	if _, err := os.Stat(path); err == nil {
		return // a release does not change any more
	}
	var docs []string
	for _, o := range objects {
		if immutableFields(o.typed) != nil {
			docs = append(docs, o.text)
		}
	}
	slices.Sort(docs)
	compareOrUpdate(t, path, []byte(strings.Join(docs, "\n---\n")+"\n"))
}

// immutableFields returns the fields of an object that Kubernetes does not let an upgrade change; nil if there are none.
func immutableFields(typed any) []any {
	switch o := typed.(type) {
	case *appsv1.Deployment:
		return []any{o.Spec.Selector}
	case *appsv1.StatefulSet:
		return []any{o.Spec.Selector, o.Spec.ServiceName, o.Spec.PodManagementPolicy, o.Spec.VolumeClaimTemplates}
	case *corev1.PersistentVolumeClaim:
		return []any{o.Spec.AccessModes, o.Spec.StorageClassName, o.Spec.Resources}
	case *corev1.Service:
		return []any{o.Spec.ClusterIP} // None stays None
	}
	return nil
}

// cluster answers lookups of templates from objects that were rendered before.
type cluster struct {
	dynamic.NamespaceableResourceInterface
	kind    string
	objects objectSet
}

func (c cluster) GetClientFor(_, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	return cluster{kind: kind, objects: c.objects}, true, nil
}

func (c cluster) Namespace(string) dynamic.ResourceInterface { return c }

func (c cluster) Get(_ context.Context, name string, _ metav1.GetOptions, _ ...string) (*unstructured.Unstructured, error) {
	for _, o := range c.objects {
		if o.kind != c.kind || o.meta.Name != name {
			continue
		}
		var content map[string]any
		if err := sigsyaml.Unmarshal([]byte(o.text), &content); err != nil {
			return nil, err
		}
		if s, ok := o.typed.(*corev1.Secret); ok { // a server stores stringData as data
			data := map[string]any{}
			for key, text := range secretData(s) {
				data[key] = base64.StdEncoding.EncodeToString([]byte(text))
			}
			content["data"] = data
		}
		return &unstructured.Unstructured{Object: content}, nil
	}
	return nil, errors.NewNotFound(schema.GroupResource{Resource: c.kind}, name)
}

// secretData returns the content of a Secret, as pods see it.
func secretData(s *corev1.Secret) map[string]string {
	all := maps.Clone(s.StringData)
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range s.Data {
		all[key] = string(value)
	}
	return all
}

// upgradeFrom renders the chart as an upgrade in a cluster with objects.
func upgradeFrom(t *testing.T, objects objectSet) objectSet {
	t.Helper()
	loaded, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	options := common.ReleaseOptions{Name: releaseName, Namespace: namespace, IsUpgrade: true, Revision: 2}
	values, err := util.ToRenderValues(loaded, map[string]any{}, options, common.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.RenderWithClientProvider(loaded.(*chart.Chart), values, cluster{objects: objects})
	if err != nil {
		t.Fatal(err)
	}
	var docs []string
	for path, text := range files {
		if strings.HasSuffix(path, ".yaml") {
			docs = append(docs, splitDocuments(t, text)...)
		}
	}
	return decodeObjects(t, docs)
}

// TestUpgradesKeepTokensAndCertificates: a Secret that is there stays; one that is not is made again, by the same authority.
func TestUpgradesKeepTokensAndCertificates(t *testing.T) {
	first := upgradeFrom(t, nil)
	lost := "telemetry-pipeline-etcd-queryd"
	second := upgradeFrom(t, slices.DeleteFunc(slices.Clone(first), func(o object) bool { return o.String() == "Secret/"+lost }))
	compared := 0
	for _, o := range first {
		before, ok := o.typed.(*corev1.Secret)
		if !ok {
			continue
		}
		compared++
		after := typed[*corev1.Secret](t, second, o.String())
		same := maps.Equal(secretData(before), secretData(after))
		if same == (before.Name == lost) {
			t.Errorf("%s: kept is %v", o, same)
		}
		if secretData(before)["ca.crt"] != secretData(after)["ca.crt"] {
			t.Errorf("%s: another authority", o)
		}
	}
	if compared < 10 {
		t.Errorf("compared %d Secrets", compared)
	}
}

// TestStateOfTheEtcdCluster: new until the cluster has been up, existing from then on, also while it is down.
func TestStateOfTheEtcdCluster(t *testing.T) {
	const name = "StatefulSet/telemetry-pipeline-etcd"
	state := func(objects objectSet) string {
		return objects.find(t, name).meta.Annotations["telemetry-pipeline/cluster-state"]
	}
	withReady := func(objects objectSet, ready string) objectSet {
		all := slices.Clone(objects)
		for i := range all {
			if all[i].String() == name {
				all[i].text += "\nstatus: {readyReplicas: " + ready + "}\n"
			}
		}
		return all
	}
	first := upgradeFrom(t, nil)
	up := upgradeFrom(t, withReady(first, "3"))
	for text, c := range map[string]struct{ got, want string }{
		"installed":     {state(first), "new"},
		"not up yet":    {state(upgradeFrom(t, withReady(first, "1"))), "new"},
		"up":            {state(up), "existing"},
		"down later on": {state(upgradeFrom(t, withReady(up, "0"))), "existing"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", text, c.got, c.want)
		}
	}
}
