package helm

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestPodsKeepTheRestrictedRules checks each container: limits, probes, rights, image; and each pod.
func TestPodsKeepTheRestrictedRules(t *testing.T) {
	forEachValues(t, func(t *testing.T, objects objectSet) {
		for name, pod := range objects.pods() {
			for _, broken := range slices.Concat(podFaults(pod.Spec), probeFaults(name, pod.Spec)) {
				t.Errorf("%s: %s", name, broken)
			}
		}
	})
}

func podFaults(pod corev1.PodSpec) (all []string) {
	report := func(bad bool, text string) {
		if bad {
			all = append(all, text)
		}
	}
	sc := pod.SecurityContext
	report(sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot, "runAsNonRoot")
	report(sc == nil || sc.RunAsUser == nil || *sc.RunAsUser != 65532, "runAsUser")
	report(sc == nil || sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "seccompProfile")
	report(pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken, "automountServiceAccountToken")
	report(pod.EnableServiceLinks == nil || *pod.EnableServiceLinks, "enableServiceLinks: variables of Services overwrite HTTP_PORT")
	for _, c := range containersOf(pod) {
		own := c.SecurityContext
		report(own == nil || own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem, c.Name+": readOnlyRootFilesystem")
		report(own == nil || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation, c.Name+": allowPrivilegeEscalation")
		report(own == nil || own.Capabilities == nil || !slices.Equal(own.Capabilities.Drop, []corev1.Capability{"ALL"}), c.Name+": capabilities")
		report(!regexp.MustCompile(`:[\w.-]+$|@sha256:[0-9a-f]{64}$`).MatchString(c.Image) || strings.HasSuffix(c.Image, ":latest"), c.Name+": image "+c.Image)
		for _, list := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
			report(list.Cpu().IsZero() || list.Memory().IsZero(), c.Name+": requests and limits of cpu and memory")
		}
		for _, m := range c.VolumeMounts {
			report(!slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) && m.Name != "data" && m.Name != "uploads", c.Name+": mounts unknown volume "+m.Name)
		}
	}
	for _, v := range pod.Volumes {
		report(v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil, "emptyDir "+v.Name+" without a bound")
		report(v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440), "mode of "+v.Name)
		report(v.HostPath != nil, "hostPath "+v.Name)
	}
	return all
}

// probeFaults checks the pods that serve; jobs end.
func probeFaults(name string, pod corev1.PodSpec) (all []string) {
	if !strings.HasPrefix(name, "Deployment/") && !strings.HasPrefix(name, "StatefulSet/") {
		return nil
	}
	if *pod.TerminationGracePeriodSeconds < 60 {
		all = append(all, "grace period")
	}
	for _, c := range pod.Containers {
		want := map[string]string{"startup": "/health", "liveness": "/health", "readiness": "/ready"}
		port := "admin"
		if c.Name == "etcd" {
			want, port = map[string]string{"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}, "metrics"
		} else if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Sleep == nil {
			all = append(all, "preStop")
		}
		for kind, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != want[kind] || p.HTTPGet.Port != intstr.FromString(port) {
				all = append(all, c.Name+": "+kind+" probe")
			}
		}
	}
	return all
}

// TestVersionsAreNotInPods: a new version of the chart alone restarts nothing.
func TestVersionsAreNotInPods(t *testing.T) {
	for name, pod := range decodeObjects(t, documents(t, render(t, nil))).pods() {
		for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/version"} {
			if pod.Labels[label] != "" && !strings.HasPrefix(name, "Pod/") {
				t.Errorf("%s has the label %s", name, label)
			}
		}
	}
}

// TestPolicyTestsFindFaults shows that the checks above can fail.
func TestPolicyTestsFindFaults(t *testing.T) {
	objects := decodeObjects(t, documents(t, render(t, nil)))
	pod := objects.pods()["Deployment/telemetry-pipeline-nexus-gateway"].Spec
	for name, damage := range map[string]func(p *corev1.PodSpec){
		"root":     func(p *corev1.PodSpec) { p.SecurityContext.RunAsNonRoot = nil },
		"limits":   func(p *corev1.PodSpec) { p.Containers[0].Resources.Limits = nil },
		"latest":   func(p *corev1.PodSpec) { p.Containers[0].Image = "queryd:latest" },
		"untagged": func(p *corev1.PodSpec) { p.Containers[0].Image = "queryd" },
		"token":    func(p *corev1.PodSpec) { p.AutomountServiceAccountToken = nil },
		"volume":   func(p *corev1.PodSpec) { p.Containers[0].VolumeMounts[0].Name = "nothing" },
		"probe":    func(p *corev1.PodSpec) { p.Containers[0].ReadinessProbe = nil },
	} {
		broken := *pod.DeepCopy()
		damage(&broken)
		if len(podFaults(broken))+len(probeFaults("Deployment/x", broken)) == 0 {
			t.Errorf("%s: no fault was found", name)
		}
	}
}

// TestSelectorsMatchPods: each Service, budget and policy selects the pods of one component, and names ports that they have.
func TestSelectorsMatchPods(t *testing.T) {
	forEachValues(t, func(t *testing.T, objects objectSet) {
		pods := objects.pods()
		for _, o := range objects {
			switch typed := o.typed.(type) {
			case *corev1.Service:
				for _, pod := range selectPods(t, o, typed.Spec.Selector, pods) {
					for _, p := range typed.Spec.Ports {
						if !hasPort(pod.Spec, p.TargetPort) {
							t.Errorf("%s: no container has port %s", o, p.TargetPort.String())
						}
					}
				}
			case *policyv1.PodDisruptionBudget:
				selectPods(t, o, typed.Spec.Selector.MatchLabels, pods)
				if (typed.Spec.MaxUnavailable == nil) == (typed.Spec.MinAvailable == nil) {
					t.Errorf("%s: it needs one of maxUnavailable and minAvailable", o)
				}
			case *networkingv1.NetworkPolicy:
				for _, pod := range selectPods(t, o, typed.Spec.PodSelector.MatchLabels, pods) {
					for _, rule := range typed.Spec.Ingress {
						for _, p := range rule.Ports {
							if !hasPort(pod.Spec, *p.Port) {
								t.Errorf("%s: no container has port %s", o, p.Port.String())
							}
						}
					}
				}
			case *appsv1.Deployment:
				checkOwnSelector(t, o, typed.Spec.Selector, typed.Spec.Template)
			case *appsv1.StatefulSet:
				checkOwnSelector(t, o, typed.Spec.Selector, typed.Spec.Template)
				if !objects.has("Service/" + typed.Spec.ServiceName) {
					t.Errorf("%s: there is no Service %s", o, typed.Spec.ServiceName)
				}
			case *autoscalingv2.HorizontalPodAutoscaler:
				checkAutoscaler(t, objects, o, typed)
			case *networkingv1.Ingress:
				checkIngress(t, objects, o, typed)
			case *httpRoute:
				for _, back := range typed.Spec.Rules[0].BackendRefs {
					if s := typedService(t, objects, back.Name); s.Spec.Ports[0].Port != int32(back.Port) {
						t.Errorf("%s: the Service has port %d, not %d", o, s.Spec.Ports[0].Port, back.Port)
					}
				}
			}
		}
	})
}

func typedService(t *testing.T, objects objectSet, name string) *corev1.Service {
	t.Helper()
	return typed[*corev1.Service](t, objects, "Service/"+name)
}

// selectPods returns the pods that a selector selects: one component's, of one kind of object.
func selectPods(t *testing.T, o object, selector map[string]string, pods map[string]corev1.PodTemplateSpec) (all []corev1.PodTemplateSpec) {
	t.Helper()
	for _, key := range []string{"name", "instance", "component"} {
		if selector["app.kubernetes.io/"+key] == "" {
			t.Errorf("%s selects without the label %s: other releases would be selected as well", o, key)
		}
	}
	for _, pod := range pods {
		if labels.SelectorFromSet(selector).Matches(labels.Set(pod.Labels)) {
			all = append(all, pod)
		}
	}
	jobs := selector["app.kubernetes.io/component"] == "etcd-jobs" // none or several
	if len(all) != 1 && !jobs {
		t.Errorf("%s selects the pods of %d objects, want 1", o, len(all))
	}
	return all
}

func hasPort(pod corev1.PodSpec, port intstr.IntOrString) bool {
	for _, c := range pod.Containers {
		for _, p := range c.Ports {
			if p.Name == port.StrVal && port.Type == intstr.String || p.ContainerPort == port.IntVal && port.Type == intstr.Int {
				return true
			}
		}
	}
	return false
}

func checkOwnSelector(t *testing.T, o object, selector *metav1.LabelSelector, pod corev1.PodTemplateSpec) {
	t.Helper()
	if len(selector.MatchLabels) != 3 || !labels.SelectorFromSet(selector.MatchLabels).Matches(labels.Set(pod.Labels)) {
		t.Errorf("%s does not select its own pods by the three labels", o)
	}
}

// checkAutoscaler: its target exists and leaves the number of replicas to it.
func checkAutoscaler(t *testing.T, objects objectSet, o object, a *autoscalingv2.HorizontalPodAutoscaler) {
	t.Helper()
	switch target := objects.find(t, a.Spec.ScaleTargetRef.Kind+"/"+a.Spec.ScaleTargetRef.Name).typed.(type) {
	case *appsv1.Deployment:
		if target.Spec.Replicas != nil {
			t.Errorf("%s: its target sets replicas", o)
		}
	case *appsv1.StatefulSet:
		if target.Spec.Replicas != nil {
			t.Errorf("%s: its target sets replicas", o)
		}
	}
	if *a.Spec.Behavior.ScaleDown.StabilizationWindowSeconds < 300 {
		t.Errorf("%s scales down too soon", o)
	}
}

func checkIngress(t *testing.T, objects objectSet, o object, in *networkingv1.Ingress) {
	t.Helper()
	for _, rule := range in.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			s := typedService(t, objects, path.Backend.Service.Name)
			if s.Spec.Ports[0].Name != path.Backend.Service.Port.Name {
				t.Errorf("%s: the Service has no port %q", o, path.Backend.Service.Port.Name)
			}
		}
		for _, secure := range in.Spec.TLS {
			if !slices.Contains(secure.Hosts, rule.Host) {
				t.Errorf("%s: the certificate is not for %s", o, rule.Host)
			}
		}
	}
}

// TestEnvironmentsAreTakenByTheDaemons runs each daemon with the variables that its pod has: all are flags, and all values parse.
func TestEnvironmentsAreTakenByTheDaemons(t *testing.T) {
	others := []string{"GOMEMLIMIT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "OTEL_EXPORTER_OTLP_HEADERS"}
	forEachValues(t, func(t *testing.T, objects objectSet) {
		programs := map[string]string{"nexus-streamer": "ingestd", "nexus-gateway": "queryd", "nexus-collector": "collectd"}
		checked := 0
		for _, pod := range objects.pods() {
			component := pod.Labels["app.kubernetes.io/component"]
			program := programs[component]
			if program == "" {
				continue
			}
			checked++
			env := environmentOf(t, objects, component)
			known := variablesOf(t, program)
			var pairs []string
			for name, value := range env {
				if known[name] == "" && libraryVariables()[name] == "" && !slices.Contains(others, name) {
					t.Errorf("%s sets %s, which %s does not have", component, name, program)
				}
				if strings.Contains(value, "e+") {
					t.Errorf("%s sets %s to %q", component, name, value)
				}
				pairs = append(pairs, name+"="+value)
			}
			if out, err := programCommand(t.Context(), t, program, pairs, "-help-markdown").CombinedOutput(); err != nil {
				t.Errorf("%s does not take its variables: %v\n%.400s", program, err, out)
			}
		}
		if checked == 0 {
			t.Error("no daemon is checked")
		}
	})
}

// TestFilesInVariablesAreMounted checks that each file in /etc that a variable names is below a mount of a Secret.
func TestFilesInVariablesAreMounted(t *testing.T) {
	forEachValues(t, func(t *testing.T, objects objectSet) {
		files := 0
		for name, pod := range objects.pods() {
			component := pod.Labels["app.kubernetes.io/component"]
			if !strings.HasPrefix(component, "nexus-") {
				continue
			}
			for variable, value := range environmentOf(t, objects, component) {
				if !strings.HasPrefix(value, "/etc/") {
					continue
				}
				files++
				if !slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return path.Dir(value) == m.MountPath && m.ReadOnly }) {
					t.Errorf("%s: %s names %s, which is not mounted", name, variable, value)
				}
			}
		}
		if files == 0 {
			t.Error("no variable names a file")
		}
	})
}

// environmentOf returns the variables of a component's pod. Values of Secrets are a text.
func environmentOf(t *testing.T, objects objectSet, component string) map[string]string {
	t.Helper()
	for name, pod := range objects.pods() {
		if pod.Labels["app.kubernetes.io/component"] != component {
			continue
		}
		c := pod.Spec.Containers[0]
		env := map[string]string{}
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil {
				maps.Copy(env, typed[*corev1.ConfigMap](t, objects, "ConfigMap/"+from.ConfigMapRef.Name).Data)
			}
		}
		for _, e := range c.Env {
			if env[e.Name] = e.Value; e.ValueFrom != nil {
				env[e.Name] = "of a Secret"
			}
		}
		if len(env) < 5 {
			t.Errorf("%s has %d variables", name, len(env))
		}
		return env
	}
	t.Fatalf("there is no pod of %s", component)
	return nil
}

// TestBadValuesAreRefusedByTheDaemons shows that the test above can fail.
func TestBadValuesAreRefusedByTheDaemons(t *testing.T) {
	t.Parallel()
	for _, pair := range []string{"MAX_UPLOAD_SIZE=1.048576e+08", "HTTP_PORT=tcp://10.0.0.1:80", "ENABLE_HTTP=on"} {
		if err := programCommand(t.Context(), t, "ingestd", []string{pair}, "-help-markdown").Run(); err == nil {
			t.Errorf("ingestd takes %s", pair)
		}
	}
}

// TestReferencesExist: Secrets, ConfigMaps, ServiceAccounts and claims that pods name are in the release, or are a value.
func TestReferencesExist(t *testing.T) {
	files := valuesFiles(t)
	for name, path := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := readValues(t, path)
			objects := decodeObjects(t, documents(t, render(t, values)))
			made := fmt.Sprint(values) // names of Secrets that are there
			for _, o := range objects {
				if cert, ok := o.typed.(*certificate); ok {
					made += " " + cert.Spec.SecretName
				}
			}
			for owner, pod := range objects.pods() {
				for _, ref := range referencesOf(pod.Spec) {
					if kind, name, _ := strings.Cut(ref, "/"); !objects.has(ref) && !(kind == "Secret" && strings.Contains(made, name)) {
						t.Errorf("%s needs %s", owner, ref)
					}
				}
			}
		})
	}
}

func referencesOf(pod corev1.PodSpec) (all []string) {
	if pod.ServiceAccountName != "" {
		all = append(all, "ServiceAccount/"+pod.ServiceAccountName)
	}
	for _, v := range pod.Volumes {
		switch {
		case v.Secret != nil:
			all = append(all, "Secret/"+v.Secret.SecretName)
		case v.ConfigMap != nil:
			all = append(all, "ConfigMap/"+v.ConfigMap.Name)
		case v.PersistentVolumeClaim != nil:
			all = append(all, "PersistentVolumeClaim/"+v.PersistentVolumeClaim.ClaimName)
		}
	}
	for _, c := range containersOf(pod) {
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				all = append(all, "Secret/"+from.SecretRef.Name)
			} else {
				all = append(all, "ConfigMap/"+from.ConfigMapRef.Name)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				all = append(all, "Secret/"+e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
	return all
}

// TestNothingCallsKubernetes: no token is mounted, and no role is asked for.
func TestNothingCallsKubernetes(t *testing.T) {
	forEachValues(t, func(t *testing.T, objects objectSet) {
		for _, o := range objects {
			if a, ok := o.typed.(*corev1.ServiceAccount); ok && (a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken) {
				t.Errorf("%s mounts a token", o)
			}
			if strings.Contains(o.kind, "Role") {
				t.Errorf("%s", o)
			}
		}
	})
}

// TestSpoolFitsItsVolume: a pod whose emptyDir is full is evicted, one whose spool is full answers 507.
func TestSpoolFitsItsVolume(t *testing.T) {
	objects := decodeObjects(t, documents(t, render(t, nil)))
	pod := objects.pods()["Deployment/telemetry-pipeline-nexus-streamer"]
	for _, v := range pod.Spec.Volumes {
		if v.Name == "tmp" && v.EmptyDir.SizeLimit.Value() <= 10<<30 {
			t.Errorf("/tmp has %s, and INGEST_SPOOL_BYTES is 10 GiB", v.EmptyDir.SizeLimit)
		}
	}
}

// TestMemoryLimitOfGo: GOMEMLIMIT is 90 % of the limit, as a whole number of bytes.
func TestMemoryLimitOfGo(t *testing.T) {
	for limit, want := range map[string]string{"2Gi": "1932735283", "1.5Gi": "1449551462", "500M": "450000000", "1073741824": "966367641"} {
		values := parseValues(t, "nexusGateway: {resources: {limits: {memory: \""+limit+"\"}}}")
		if got := environmentOf(t, decodeObjects(t, documents(t, render(t, values))), "nexus-gateway")["GOMEMLIMIT"]; got != want {
			t.Errorf("limit %s: got %s, want %s", limit, got, want)
		}
	}
}

// TestSettingsOfPods names settings that have to follow from values.
func TestSettingsOfPods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ values, component, name, want string }{
		{"{}", "nexus-streamer", "INGEST_ASYNC", "false"},
		{"nexusStreamer: {persistence: {enabled: true}}", "nexus-streamer", "INGEST_ASYNC", "true"},
		{"{}", "nexus-streamer", "HTTP_HOST", "*"},
		{"{}", "nexus-streamer", "ACCESS_FILE", "/etc/telemetry/access/principals"},
		{"nexusStreamer: {env: {HTTP_HOST: 0.0.0.0}}", "nexus-streamer", "HTTP_HOST", "0.0.0.0"},
		{"{}", "nexus-collector", "COMPACT_INTERVAL", "-1s"},
		{"nexusGateway: {uploadUrl: \"https://u.example.org/api/v1/csv/upload\"}", "nexus-gateway", "QUERY_UPLOAD_URL", "https://u.example.org/api/v1/csv/upload"},
		{"nexusGateway: {cells: {existingSecret: cells}}", "nexus-gateway", "QUERY_CELLS", "/etc/telemetry/cells/cells"},
		{"etcd: {enabled: false}\nexternalEtcd: {endpoints: [\"http://e:2379\"]}", "nexus-collector", "COMPACT_INTERVAL", ""},
		{"etcd: {enabled: false}\nexternalEtcd: {endpoints: [\"http://e:2379\", \"http://f:2379\"]}", "nexus-gateway", "ETCD_ENDPOINTS", "http://e:2379,http://f:2379"},
	} {
		objects := decodeObjects(t, documents(t, render(t, parseValues(t, c.values))))
		if got := environmentOf(t, objects, c.component)[c.name]; got != c.want {
			t.Errorf("%s: %s has %s=%q, want %q", c.values, c.component, c.name, got, c.want)
		}
	}
}

// TestChangedSettingsAreARollout: the checksum of the pod changes with its ConfigMap, and with nothing else.
func TestChangedSettingsAreARollout(t *testing.T) {
	t.Parallel()
	sum := func(values string) map[string]string {
		return decodeObjects(t, documents(t, render(t, parseValues(t, values)))).pods()["Deployment/telemetry-pipeline-nexus-gateway"].Annotations
	}
	if before, after := sum("{}"), sum("nexusGateway: {env: {LOG_LEVEL: DEBUG}}"); before["checksum/config"] == after["checksum/config"] {
		t.Error("a change of env is no rollout")
	}
	if before, after := sum("{}"), sum("{}"); !maps.Equal(before, after) {
		t.Error("new tokens are a rollout, though the daemons read them again")
	}
}
