package dialect

import (
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
)

// firstValue returns the first observed value of a field. The observations must be sorted.
func (s *Source) firstValue(f Field) string {
	for _, v := range s.observations {
		if v.field == f {
			return v.value
		}
	}
	return ""
}

// fillIdentity fills the identity: the first observation of each field counts, and contradicting ones are kept as
// labels.
func (s *Source) fillIdentity(id *events.Identity) {
	var values [fields]string
	var exported [fields]bool
	var conflicts []observation
	for _, v := range s.observations {
		switch {
		case v.field == Label:
			if !s.addLabel(id, v) {
				conflicts = append(conflicts, v)
			}
		case v.field == Host && isLocalName(v.value):
		case values[v.field] == "":
			values[v.field], exported[v.field] = v.value, v.rank == Exported
		case !sameValue(v.field, values[v.field], v.value):
			conflicts = append(conflicts, v)
		}
	}
	for _, v := range conflicts {
		s.addConflict(id, v, exported[v.field])
	}
	s.dropExporterPod(id, &values, exported)
	id.UUID, id.Index, id.Device = events.CanonicalUUID(values[UUID]), values[Index], values[Device]
	id.Model, id.Driver = values[Model], values[Driver]
	id.MIG, id.MIGProfile = values[MIG], values[MIGProfile]
	id.Pod, id.Namespace, id.Container = values[Pod], values[Namespace], values[Container]
	if values[PCI] != "" {
		id.PCI = pciAddress(values[PCI])
	}
}

// dropExporterPod keeps the exporter's own pod from being taken for the workload. Where Prometheus renames a target's
// labels, the row of a GPU without a workload has no exported_pod, and pod is the exporter's.
func (s *Source) dropExporterPod(id *events.Identity, values *[fields]string, exported [fields]bool) {
	if exported[Pod] || !strings.Contains(values[Pod], "dcgm-exporter") {
		return
	}
	for _, v := range s.observations {
		if v.field >= Pod && v.rank != Exported && v.value == values[v.field] {
			s.addConflict(id, v, true)
		}
	}
	for f := Pod; f <= Container; f++ {
		if !exported[f] {
			values[f] = ""
		}
	}
}

// addLabel adds a label. It returns false if the label contradicts one of the same name, which came from a column.
func (s *Source) addLabel(id *events.Identity, v observation) bool {
	i, found := findLabel(id.Labels, v.name)
	if found {
		return id.Labels[i].Value == v.value
	}
	id.Labels = slices.Insert(id.Labels, i, events.Label{Name: v.name, Value: v.value})
	return true
}

// addConflict keeps a value that contradicts a field or a column under a name of its own, and warns about it unless
// the conflict is expected: beside exported_pod, pod is another one.
func (s *Source) addConflict(id *events.Identity, v observation, expected bool) {
	id.Labels = withLabel(id.Labels, ConflictLabel(v.name), v.value)
	if !expected {
		s.warnings = append(s.warnings, rows.Rejection{
			Column: v.name, Text: rows.Excerpt([]byte(v.value)), Reason: ConflictReason(v.name),
		})
	}
}

// ConflictLabel returns the label name that keeps a value of name that the row contradicts.
func ConflictLabel(name string) string { return name + "_label" }

// ConflictReason returns the warning about such a label.
func ConflictReason(name string) string {
	return fmt.Sprintf("label_conflict: the row says something else elsewhere, and that counts; this is kept as label %s", ConflictLabel(name))
}

// withLabel inserts a label, under the next free name if there is another value of its name.
func withLabel(labels []events.Label, name, value string) []events.Label {
	i, found := findLabel(labels, name)
	for found {
		if labels[i].Value == value {
			return labels
		}
		name = ConflictLabel(name)
		i, found = findLabel(labels, name)
	}
	return slices.Insert(labels, i, events.Label{Name: name, Value: value})
}

func findLabel(labels []events.Label, name string) (int, bool) {
	return slices.BinarySearchFunc(labels, name, func(l events.Label, name string) int { return strings.Compare(l.Name, name) })
}

func sameValue(f Field, a, b string) bool {
	switch f {
	case PCI:
		return pciAddress(a) == pciAddress(b)
	case Index:
		x, _ := indexOf(a)
		y, ok := indexOf(b)
		return ok && x == y
	case UUID:
		return events.CanonicalUUID(a) == events.CanonicalUUID(b)
	}
	return a == b
}

// resolveHost returns the row's host: by a column or label that names it, else the instance without its port, else
// the sender's host. A name that every host has for itself does not count.
func (s *Source) resolveHost(opt Options) events.HostID {
	for _, v := range s.observations {
		if v.field == Host && !isLocalName(v.value) {
			return events.HostID(v.value)
		}
	}
	for _, v := range s.observations {
		if v.field == Label && strings.EqualFold(v.name, "instance") {
			if host := hostOf(v.value); host != "" && !isLocalName(host) && nameFault(host) == "" {
				return events.HostID(host)
			}
		}
	}
	return events.HostID(opt.Host)
}

// normalizeGPU makes the identity name one GPU: its index is a number, and a MIG instance's UUID does not stand for
// the GPU's where the GPU has an index or an address.
func (s *Source) normalizeGPU(id *events.Identity) {
	if id.Index != "" {
		index, ok := indexOf(id.Index)
		if !ok {
			s.refuseCell(Index, s.nameOf(Index), id.Index, "a GPU's index is a number such as 0")
			return
		}
		id.Index = index
	} else {
		id.Index = deviceIndex(id.Device)
	}
	if isMIG(id.UUID) && (id.Index != "" || id.PCI != "") {
		id.Labels = withLabel(id.Labels, migUUID, id.UUID)
		if id.MIG == "" {
			id.MIG = id.UUID
		}
		id.UUID = ""
	}
	if i, found := findLabel(id.Labels, draUUID); found && id.MIG == "" {
		id.MIG = id.Labels[i].Value
	}
}

// draUUID is the label that identifies a MIG instance allocated by dynamic resource allocation.
const draUUID = "dra_mig_device_uuid"

func (s *Source) nameOf(f Field) string {
	for _, v := range s.observations {
		if v.field == f {
			return v.name
		}
	}
	return ""
}
