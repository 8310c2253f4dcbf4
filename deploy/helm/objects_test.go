package helm

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// object is a decoded document.
type object struct {
	kind, text string
	meta       metav1.ObjectMeta
	typed      any // a pointer to the type of Kubernetes, or to a type below
}

func (o object) String() string { return o.kind + "/" + o.meta.Name }

type objectSet []object

// The types below have the fields of foreign kinds that the chart uses; decoding is strict.
type (
	issuerRef   struct{ Name, Kind string }
	certificate struct {
		Spec struct {
			CommonName, SecretName, Duration string
			IsCA                             bool
			Usages, DNSNames, IPAddresses    []string
			PrivateKey                       struct {
				Algorithm, RotationPolicy string
				Size                      int
			}
			IssuerRef issuerRef
		}
	}
	issuer struct {
		Spec struct {
			SelfSigned *struct{}
			CA         *struct{ SecretName string }
		}
	}
	secretKey      struct{ Name, Key string }
	serviceMonitor struct {
		Spec struct {
			JobLabel  string
			Selector  metav1.LabelSelector
			Endpoints []struct {
				Port, Path, Interval, Scheme string
				TLSConfig                    *struct {
					ServerName string
					CA         struct{ Secret secretKey }
				}
				Authorization *struct{ Credentials secretKey }
			}
		}
	}
	ruleGroup struct {
		Name, Interval string
		Limit          int
		Rules          []struct {
			Alert, Record, Expr, For, Keep_firing_for string
			Labels, Annotations                       map[string]string
		}
	}
	prometheusRule struct{ Spec struct{ Groups []ruleGroup } }
	httpRoute      struct {
		Spec struct {
			ParentRefs []struct{ Name, Namespace, SectionName string }
			Hostnames  []string
			Rules      []struct {
				Matches     []struct{ Path struct{ Type, Value string } }
				Timeouts    struct{ Request, BackendRequest string }
				BackendRefs []struct {
					Name string
					Port int
				}
			}
		}
	}
)

// foreignKinds returns a value to decode a kind into that Kubernetes itself does not have; nil for others.
func foreignKinds(apiVersion, kind string) any {
	switch apiVersion + "/" + kind {
	case "cert-manager.io/v1/Certificate":
		return new(certificate)
	case "cert-manager.io/v1/Issuer":
		return new(issuer)
	case "monitoring.coreos.com/v1/ServiceMonitor":
		return new(serviceMonitor)
	case "monitoring.coreos.com/v1/PrometheusRule":
		return new(prometheusRule)
	case "gateway.networking.k8s.io/v1/HTTPRoute":
		return new(httpRoute)
	}
	return nil
}

// decodeObjects decodes documents strictly: unknown fields and wrong types fail the test.
func decodeObjects(t *testing.T, docs []string) (all objectSet) {
	t.Helper()
	for _, doc := range docs {
		o, err := decodeObject(doc)
		if err != nil {
			t.Errorf("%v:\n%s", err, doc)
			continue
		}
		all = append(all, o)
	}
	return all
}

func decodeObject(doc string) (object, error) {
	var head struct {
		metav1.TypeMeta
		Metadata metav1.ObjectMeta
	}
	if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
		return object{}, err
	}
	o := object{kind: head.Kind, text: doc, meta: head.Metadata}
	if into := foreignKinds(head.APIVersion, head.Kind); into != nil {
		o.typed = into
		return o, decodeForeign(doc, into)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	typed, _, err := decoder.Decode([]byte(doc), nil, nil)
	o.typed = typed
	return o, err
}

// decodeForeign decodes the fields besides the type and the metadata.
func decodeForeign(doc string, into any) error {
	var fields map[string]any
	if err := yaml.UnmarshalStrict([]byte(doc), &fields); err != nil {
		return err
	}
	delete(fields, "apiVersion")
	delete(fields, "kind")
	delete(fields, "metadata")
	rest, err := yaml.Marshal(fields)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(rest, into)
}

// pods returns the templates of pods, by the object that has them.
func (s objectSet) pods() map[string]corev1.PodTemplateSpec {
	all := map[string]corev1.PodTemplateSpec{}
	for _, o := range s {
		switch typed := o.typed.(type) {
		case *appsv1.Deployment:
			all[o.String()] = typed.Spec.Template
		case *appsv1.StatefulSet:
			all[o.String()] = typed.Spec.Template
		case *batchv1.Job:
			all[o.String()] = typed.Spec.Template
		case *batchv1.CronJob:
			all[o.String()] = typed.Spec.JobTemplate.Spec.Template
		case *corev1.Pod:
			all[o.String()] = corev1.PodTemplateSpec{ObjectMeta: typed.ObjectMeta, Spec: typed.Spec}
		}
	}
	return all
}

// find returns an object by kind and name.
func (s objectSet) find(t *testing.T, name string) object {
	t.Helper()
	for _, o := range s {
		if o.String() == name {
			return o
		}
	}
	t.Fatalf("there is no %s", name)
	return object{}
}

// has reports whether there is an object by kind and name.
func (s objectSet) has(name string) bool {
	for _, o := range s {
		if o.String() == name {
			return true
		}
	}
	return false
}

// typed returns an object by kind and name, as its type.
func typed[T any](t *testing.T, s objectSet, name string) T {
	t.Helper()
	v, ok := s.find(t, name).typed.(T)
	if !ok {
		t.Fatalf("%s is a %T", name, s.find(t, name).typed)
	}
	return v
}

func newReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

// containersOf returns all containers of a pod.
func containersOf(pod corev1.PodSpec) []corev1.Container {
	return append(append([]corev1.Container{}, pod.InitContainers...), pod.Containers...)
}

func TestStrictDecodingFindsMistakes(t *testing.T) {
	for _, doc := range []string{
		"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 1}",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: two}",
		"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a}\nspec: {endpoint: []}",
		"apiVersion: v9\nkind: Nothing\nmetadata: {name: a}",
	} {
		if _, err := decodeObject(doc); err == nil {
			t.Errorf("no error for %s", fmt.Sprintf("%.60q", doc))
		}
	}
}
