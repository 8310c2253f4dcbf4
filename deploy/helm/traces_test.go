package helm

import (
	"fmt"
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// TestDaemonsMayReachTheReceiverOfTraces: its port is open to every daemon that has its address, and to no other.
func TestDaemonsMayReachTheReceiverOfTraces(t *testing.T) {
	t.Parallel()
	const streamer, gateway, collector = "nexus-streamer", "nexus-gateway", "nexus-collector"
	all := []string{streamer, gateway, collector}
	for _, c := range []struct {
		values string
		port   int
		of     []string
	}{
		{"{}", 4318, nil},
		{"traces: {endpoint: \"http://collector.monitoring:4318\"}", 4318, all},
		{"traces: {endpoint: \"http://collector.monitoring:4317/\", protocol: grpc}", 4317, all},
		{"traces: {endpoint: \"http://[fd00::4318]:9000\"}", 9000, all},
		{"traces: {endpoint: \"https://traces.example.org:8443/otlp\"}", 8443, all},
		{"traces: {endpoint: \"http://traces\"}", 80, all},
		{"traces: {endpoint: \"https://traces.example.org/otlp:1\"}", 443, all},
		{"nexusGateway: {env: {OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: \"http://collector:4319/v1/traces\"}}", 4319, []string{gateway}},
		{"{traces: {endpoint: \"http://c:4318\"}, nexusStreamer: {env: {OTEL_SDK_DISABLED: \"true\"}}}", 4318, []string{gateway, collector}},
	} {
		objects := decodeObjects(t, documents(t, render(t, parseValues(t, c.values))))
		for _, component := range all {
			policy := typed[*networkingv1.NetworkPolicy](t, objects, "NetworkPolicy/telemetry-pipeline-"+component)
			open := slices.ContainsFunc(policy.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
				return slices.ContainsFunc(r.Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntValue() == c.port })
			})
			if want := slices.Contains(c.of, component); open != want {
				t.Errorf("%s: port %d is open to %s: %t, want %t", c.values, c.port, component, open, want)
			}
		}
	}
}

// TestSettingsOfTraces: they reach every daemon, an env block beats them, and headers come from a Secret.
func TestSettingsOfTraces(t *testing.T) {
	t.Parallel()
	objects := decodeObjects(t, documents(t, render(t, parseValues(t,
		`{traces: {endpoint: "http://c:4318", ratio: "0.01", headersSecret: otel}, nexusGateway: {env: {OTEL_TRACES_SAMPLER_ARG: "1", OTEL_SERVICE_NAME: gateway}}}`))))
	for component, ratio := range map[string]string{"nexus-streamer": "0.01", "nexus-gateway": "1", "nexus-collector": "0.01"} {
		env := environmentOf(t, objects, component)
		got := fmt.Sprint(env["OTEL_EXPORTER_OTLP_ENDPOINT"], " ", env["OTEL_EXPORTER_OTLP_PROTOCOL"], " ", env["OTEL_TRACES_SAMPLER_ARG"], " ", env["OTEL_EXPORTER_OTLP_HEADERS"])
		if want := "http://c:4318 http/protobuf " + ratio + " of a Secret"; got != want {
			t.Errorf("%s: got %s, want %s", component, got, want)
		}
	}
	for name := range environmentOf(t, decodeObjects(t, documents(t, render(t, parseValues(t, "{}")))), "nexus-streamer") {
		if len(name) > 5 && name[:5] == "OTEL_" {
			t.Errorf("without a receiver the streamer has %s", name)
		}
	}
}
