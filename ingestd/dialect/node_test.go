package dialect_test

import (
	"fmt"
	"strings"
	"testing"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// TestNodeOfPod has labels of one row, and its host and workload: the node counts where the host would be a pod.
func TestNodeOfPod(t *testing.T) {
	long := "nvidia-gpu-metrics-of-the-cluster-with-a-long-release-name-daemon-x7k2p"
	for _, test := range []struct{ name, labels, host, workload, kept string }{
		{
			"the exporter's pod is the Hostname", `Hostname="metrics-x7k2p",kubernetes_node="n1",namespace="mon",container="main",pod="metrics-x7k2p"`,
			"n1", "//", `Hostname_label="metrics-x7k2p",container_label="main",namespace_label="mon",pod_label="metrics-x7k2p"`,
		},
		{
			"the pod comes before", `pod="metrics-x7k2p",node="n1",Hostname="metrics-x7k2p"`,
			"n1", "//", `Hostname_label="metrics-x7k2p",pod_label="metrics-x7k2p"`,
		},
		{
			"a workload renamed by Prometheus",
			`Hostname="metrics-x7k2p",node_name="n1",pod="metrics-x7k2p",namespace="mon",container="main",exported_pod="train-0",exported_namespace="ml"`,
			"n1", "train-0/ml/", `Hostname_label="metrics-x7k2p",container_label="main",namespace_label="mon",pod_label="metrics-x7k2p"`,
		},
		{
			"a workload under the honoured label", `Hostname="gpu-exporter-x7k2p",kubernetes_node="n1",pod="train-0",namespace="ml"`,
			"n1", "train-0/ml/", `Hostname_label="gpu-exporter-x7k2p"`,
		},
		{
			"a workload in another spelling",
			`Hostname="metrics-x7k2p",nodename="n1",pod_name="train-0",pod_namespace="ml",container_name="c",pod="metrics-x7k2p",namespace="mon"`,
			"n1", "train-0/ml/c", `Hostname_label="metrics-x7k2p",namespace_label="mon",pod_label="metrics-x7k2p"`,
		},
		{
			"the exporter's pod in another spelling",
			`Hostname="metrics-x7k2p",kubernetes_node="n1",kubernetes_pod_name="metrics-x7k2p",kubernetes_namespace="mon",pod="train-0",namespace="ml"`,
			"n1", "train-0/ml/", `Hostname_label="metrics-x7k2p",kubernetes_namespace_label="mon",kubernetes_pod_name_label="metrics-x7k2p"`,
		},
		{"an exporter without a pod label", `Hostname="nvidia-dcgm-exporter-x7k2p",node="n1"`, "n1", "//", `Hostname_label="nvidia-dcgm-exporter-x7k2p"`},
		{"a node renamed by Prometheus", `exported_node="n1",Hostname="m-x",pod="m-x"`, "n1", "//", `Hostname_label="m-x",pod_label="m-x"`},
		{
			"an OpenTelemetry collector", `Hostname="m-x7k2p",k8s_pod_name="m-x7k2p",k8s_node_name="n1"`,
			"n1", "//", `Hostname_label="m-x7k2p",k8s_pod_name="m-x7k2p"`,
		},
		{"a qualified Hostname", `Hostname="m-x7k2p.svc.ns.cluster.local",pod="m-x7k2p",node="n1"`, "n1", "//", `Hostname_label="m-x7k2p.svc.ns.cluster.local",pod_label="m-x7k2p"`},
		{"a Hostname of 63 bytes", `Hostname="` + long[:63] + `",pod="` + long + `",node="n1"`, "n1", "//", `Hostname_label="` + long[:63] + `",pod_label="` + long + `"`},
		{"a qualified node", `Hostname="m-x7k2p",pod="m-x7k2p",node="n1.example.com"`, "n1.example.com", "//", `Hostname_label="m-x7k2p",pod_label="m-x7k2p"`},
		{"an address and a node", `instance="10.42.1.17:9400",k8s_node_name="n1",pod="m-x7k2p"`, "n1", "m-x7k2p//", `instance="10.42.1.17:9400"`},
		{"a node and nothing else", `k8s_node_name="n1"`, "n1", "//", ""},

		{"only a node", `node="n1",pod="train-0"`, "n1", "train-0//", ""},
		{"no node", `Hostname="m-x7k2p",pod="m-x7k2p"`, "m-x7k2p", "m-x7k2p//", ""},
		{"a node of every host", `Hostname="m-x7k2p",pod="m-x7k2p",node="localhost"`, "m-x7k2p", "m-x7k2p//", ""},
		{"a node that is a pod", `Hostname="m-x7k2p",pod="m-x7k2p",k8s_node_name="m-x7k2p"`, "m-x7k2p", "m-x7k2p//", `k8s_node_name="m-x7k2p"`},
		{"a Hostname equal to the node", `Hostname="n1",kubernetes_node="n1",pod="train-0"`, "n1", "train-0//", ""},
		{"a Hostname shorter than the node", `Hostname="n1",kubernetes_node="n1.example.com",pod="train-0"`, "n1", "train-0//", `kubernetes_node_label="n1.example.com"`},
		{"a real Hostname and another node", `Hostname="n1",kubernetes_node="n2",pod="train-0"`, "n1", "train-0//", `kubernetes_node_label="n2"`},
		{"a real Hostname and a further label", `Hostname="n1",k8s_node_name="n2",pod="train-0"`, "n1", "train-0//", `k8s_node_name="n2"`},
		{"a real Hostname like an exporter", `Hostname="exporter-node",kubernetes_node="n2",pod="train-0"`, "exporter-node", "train-0//", `kubernetes_node_label="n2"`},
		{"a named instance and a further label", `instance="n1:9400",k8s_node_name="n2"`, "n1", "//", `instance="n1:9400",k8s_node_name="n2"`},
	} {
		var s dialect.Source
		s.Column(dialect.Index, 1, "gpu", []byte("0"))
		s.Labels([]byte(test.labels))
		o := dialect.NewOrigins(dialect.Options{}, dialect.NewIdentities()).Learn(nil, &s)
		id := o.For(metric.Parts(0))
		workload := fmt.Sprintf("%s/%s/%s", id.Pod, id.Namespace, id.Container)
		kept := string(dialect.AppendLabels(nil, id.Labels))
		if string(o.Host) != test.host || workload != test.workload || kept != test.kept || o.Fault != nil {
			t.Errorf("%s: got host %q, workload %q, labels %s, fault %v; want %q, %q, %s",
				test.name, o.Host, workload, kept, o.Fault, test.host, test.workload, test.kept)
		}
		if conflict := strings.Contains(test.kept, "kubernetes_node_label"); conflict != (len(o.Warnings) > 0) {
			t.Errorf("%s: got warnings %v; want some only where two hosts are named", test.name, o.Warnings)
		}
	}
}
