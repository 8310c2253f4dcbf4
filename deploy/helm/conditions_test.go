package helm

import (
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// TestHelmTestNeedsNoSockets: the pod of helm test queries by a socket, unless the gateway has none.
func TestHelmTestNeedsNoSockets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 2,
		"nexusGateway: {env: {ENABLE_WEBSOCKET: \"false\"}}": 1,
		"nexusGateway: {env: {ENABLE_GRAPHQL: \"FALSE\"}}":   1,
	} {
		pod := typed[*corev1.Pod](t, decodeObjects(t, documents(t, render(t, parseValues(t, text)))), "Pod/telemetry-pipeline-test")
		if all := containersOf(pod.Spec); len(all) != want || all[0].Name != "upload" {
			t.Errorf("%q: the pod has %d containers, want %d", text, len(all), want)
		}
	}
}

// TestNotesNameWhatIsThere: the notes say nothing about Services that the values have switched off.
func TestNotesNameWhatIsThere(t *testing.T) {
	t.Parallel()
	for text, absent := range map[string]string{
		"nexusStreamer: {service: {enabled: false}}": "service/telemetry-pipeline-nexus-streamer",
		"nexusGateway: {enabled: false}":             "service/telemetry-pipeline-nexus-gateway",
		"tests: {enabled: false}":                    "helm test",
	} {
		if notes := render(t, parseValues(t, text)).Info.Notes; strings.Contains(notes, absent) {
			t.Errorf("%s: the notes name %q:\n%s", text, absent, notes)
		}
		if notes := render(t, nil).Info.Notes; !strings.Contains(notes, absent) {
			t.Errorf("without values the notes have no %q", absent)
		}
	}
}

// TestPeersOfEtcdAreLetIn: pods of another release may call etcd, and nobody else may.
func TestPeersOfEtcdAreLetIn(t *testing.T) {
	t.Parallel()
	peers := func(text string) (all []networkingv1.NetworkPolicyPeer) {
		policy := typed[*networkingv1.NetworkPolicy](t, decodeObjects(t, documents(t, render(t, parseValues(t, text)))), "NetworkPolicy/telemetry-pipeline-etcd")
		for _, rule := range policy.Spec.Ingress {
			if rule.Ports[0].Port.StrVal == "client" {
				all = append(all, rule.From...)
			}
		}
		return all
	}
	own := peers("")
	further := peers("networkPolicy: {etcdClients: [{podSelector: {matchLabels: {app.kubernetes.io/instance: other}}}]}")
	if len(further) != len(own)+1 || further[len(own)].PodSelector.MatchLabels["app.kubernetes.io/instance"] != "other" {
		t.Errorf("etcd may be called by %v, want %d peers and the one of the values", further, len(own))
	}
}

// TestPortOfTheIssuer: the way out to the issuer of tokens is its URL's port.
func TestPortOfTheIssuer(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]int32{
		"https://i.example.org": 443, "http://i.example.org/realm": 80, "https://i.example.org:8443/realm": 8443, "http://i.example.org:8080": 8080,
	} {
		objects := decodeObjects(t, documents(t, render(t, parseValues(t, "access: {oidc: {issuer: \""+issuer+"\", audience: telemetry}}"))))
		found := false
		for _, rule := range typed[*networkingv1.NetworkPolicy](t, objects, "NetworkPolicy/telemetry-pipeline-nexus-gateway").Spec.Egress {
			for _, p := range rule.Ports {
				found = found || len(rule.To) == 0 && p.Port.IntVal == want
			}
		}
		if !found {
			t.Errorf("%s: no way out to port %d", issuer, want)
		}
	}
}

// TestAdministratorsCertificateIsThere: the CronJob for etcd's administrator has the certificate of root, without users any that there is.
func TestAdministratorsCertificateIsThere(t *testing.T) {
	t.Parallel()
	const own = "etcd: {tls: {mode: existing, existing: {server: a, peer: b, ingestd: c, collectd: d, queryd: e%s}}, %s}"
	for text, want := range map[string]string{
		"": "telemetry-pipeline-etcd-root",
		fmt.Sprintf(own, ", root: r, maintenance: m", "auth: {enabled: true}"):                                    "r",
		fmt.Sprintf(own, ", root: r, maintenance: m", "auth: {enabled: false}"):                                   "r",
		fmt.Sprintf(own, ", maintenance: m", "auth: {enabled: false}"):                                            "m",
		fmt.Sprintf(own, "", "auth: {enabled: false}, snapshots: {enabled: false}, defragment: {enabled: false}"): "",
	} {
		objects := decodeObjects(t, documents(t, render(t, parseValues(t, text))))
		if there := objects.has("CronJob/telemetry-pipeline-etcd-admin"); there != (want != "") {
			t.Errorf("%q: the CronJob is there: %t", text, there)
		}
		if want == "" {
			continue
		}
		job := typed[*batchv1.CronJob](t, objects, "CronJob/telemetry-pipeline-etcd-admin")
		if got := job.Spec.JobTemplate.Spec.Template.Spec.Volumes[0].Secret.SecretName; got != want || job.Spec.Suspend == nil || !*job.Spec.Suspend {
			t.Errorf("%q: the certificate is of Secret %q, want %q, and the CronJob is suspended", text, got, want)
		}
	}
}
