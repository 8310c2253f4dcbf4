package dialect

import "strings"

// Field is the meaning of a column or a label.
type Field uint8

// The fields. A Label is kept under its own name.
const (
	Label Field = iota
	Time
	Metric // the metric's name
	Value
	LabelsRaw // labels in the syntax of Prometheus
	Host
	Index
	UUID
	PCI
	Device
	Model
	Driver
	MIG
	MIGProfile
	Pod
	Namespace
	Container

	fields = int(iota)
)

// Rank orders the spellings of a field: of several columns in one row the smallest rank with a value counts.
type Rank uint8

// Exported is the rank of a name like exported_pod: Prometheus renames a target's own label so if the scrape has one
// of that name, and then pod is the exporter's own.
const Exported Rank = 0

// FieldOf returns the field of a column or label with this name, in any case. The dialect decides about "name": it is
// a model in wide forms and a metric in long ones.
func FieldOf(name string) (Field, Rank) {
	name = strings.ToLower(strings.TrimSpace(name))
	if base, found := strings.CutPrefix(name, "exported_"); found {
		switch f, _ := fieldOf(base); f {
		case Host, Pod, Namespace, Container:
			return f, Exported
		}
		return Label, 1
	}
	return fieldOf(name)
}

func fieldOf(name string) (Field, Rank) {
	switch {
	case strings.HasPrefix(name, "__timestamp__:"): // VictoriaMetrics appends the form of the time, as :unix_s
		return Time, 1
	case strings.HasPrefix(name, "value #"): // Grafana's tables append the letter of the query
		return Value, 1
	}
	switch name {
	case "timestamp", "time", "ts", "datetime", "__timestamp__", "_time":
		return Time, 1
	case "metric_name", "metric", "__name__":
		return Metric, 1
	case "value", "__value__", "val":
		return Value, 1
	case "labels_raw":
		return LabelsRaw, 1
	case "uuid":
		return UUID, 1
	case "gpu_uuid":
		return UUID, 2
	case "gpu_id":
		return Index, 1
	case "gpu":
		return Index, 2
	case "index":
		return Index, 3
	case "gpu_index":
		return Index, 4
	case "minor_number":
		return Index, 5
	case "device":
		return Device, 1
	case "pci_bus_id":
		return PCI, 1
	case "pci.bus_id":
		return PCI, 2
	case "gpu_bus_id":
		return PCI, 3
	case "modelname":
		return Model, 1
	case "model_name":
		return Model, 2
	case "model":
		return Model, 3
	case "gpu_name":
		return Model, 4
	case "product_name":
		return Model, 5
	}
	return exporterField(name)
}

// exporterField returns the field of a name that Prometheus, Kubernetes or the driver adds.
func exporterField(name string) (Field, Rank) {
	switch name {
	case "hostname":
		return Host, 1
	case "host":
		return Host, 2
	case "host_name":
		return Host, 3
	case "node":
		return Host, 4
	case "node_name":
		return Host, 5
	case "kubernetes_node":
		return Host, 6
	case "nodename":
		return Host, 7
	case "dcgm_fi_driver_version":
		return Driver, 1
	case "dcgm_fi_system_driver_version":
		return Driver, 2
	case "driver_version":
		return Driver, 3
	case "gpu_i_id":
		return MIG, 1
	case "mig_instance_id":
		return MIG, 2
	case "gpu_i_profile":
		return MIGProfile, 1
	case "mig_profile":
		return MIGProfile, 2
	case "dra_mig_profile":
		return MIGProfile, 3
	case "pod":
		return Pod, 1
	case "pod_name":
		return Pod, 2
	case "kubernetes_pod_name":
		return Pod, 3
	case "namespace":
		return Namespace, 1
	case "pod_namespace":
		return Namespace, 2
	case "kubernetes_namespace":
		return Namespace, 3
	case "container":
		return Container, 1
	case "container_name":
		return Container, 2
	}
	return Label, 1
}

// KnownLabel reports whether a column of this name holds labels even where its cells are numbers, such as an XID or a
// job's number.
func KnownLabel(name string) bool {
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "instance", "job", "hpc_job", "slurm_job_id", "job_id", "pod_uid", "vgpu", "err_code", "err_msg", "xid",
		"clock_event", "window_size_in_ms", "health_watch", "health_error_code", "peer_gpu", "link_status", "nvlink", "nvswitch",
		"cpu", "cpucore", "pid", "dcgm_fi_dev_serial", "dcgm_fi_dev_brand", "serial", "gpu_serial":
		return true
	}
	return namesNode(name) || strings.HasPrefix(name, "dra_") || strings.HasPrefix(name, "exported_") ||
		strings.HasPrefix(name, "dcgm_fi_") && (strings.HasSuffix(name, "_version") || strings.HasSuffix(name, "_ver"))
}
