package dialect_test

import (
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/dialect"
)

// TestSpellings has every spelling of the fields of columns and labels, the best of each first.
func TestSpellings(t *testing.T) {
	for field, spellings := range map[dialect.Field]string{
		dialect.Time:       "timestamp time ts datetime __timestamp__ _time",
		dialect.Metric:     "metric_name metric __name__",
		dialect.Value:      "value __value__ val",
		dialect.LabelsRaw:  "labels_raw",
		dialect.Host:       "exported_hostname Hostname host host_name node node_name kubernetes_node nodename",
		dialect.Index:      "gpu_id gpu index gpu_index minor_number",
		dialect.UUID:       "uuid GPU_UUID",
		dialect.PCI:        "pci_bus_id pci.bus_id gpu_bus_id",
		dialect.Device:     "device",
		dialect.Model:      "modelName model_name model gpu_name product_name",
		dialect.Driver:     "DCGM_FI_DRIVER_VERSION DCGM_FI_SYSTEM_DRIVER_VERSION driver_version",
		dialect.MIG:        "GPU_I_ID mig_instance_id",
		dialect.MIGProfile: "GPU_I_PROFILE mig_profile dra_mig_profile",
		dialect.Pod:        "exported_pod pod pod_name kubernetes_pod_name",
		dialect.Namespace:  "exported_namespace namespace pod_namespace kubernetes_namespace",
		dialect.Container:  "exported_container container container_name",
		dialect.Label: "instance exported_instance job hpc_job slurm_job_id job_id pod_uid vgpu dra_claim_name dra_mig_device_uuid err_code xid " +
			"clock_event window_size_in_ms health_watch peer_gpu link_status DCGM_FI_DEV_SERIAL name",
	} {
		last := dialect.Rank(0)
		for i, name := range strings.Fields(spellings) {
			f, rank := dialect.FieldOf(name)
			if f != field || field >= dialect.Host && i > 0 && rank <= last {
				t.Errorf("%s: got field %d of rank %d, want %d behind rank %d", name, f, rank, field, last)
			}
			last = rank
			for _, other := range []string{strings.ToUpper(name), strings.ToLower(name), " " + name + "\t"} {
				if g, r := dialect.FieldOf(other); g != f || r != rank {
					t.Errorf("%q: got field %d of rank %d, want those of %s: %d, %d", other, g, r, name, f, rank)
				}
			}
		}
	}
}
