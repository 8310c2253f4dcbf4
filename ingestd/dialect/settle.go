package dialect

import (
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
)

// first gives what was said first about a field, once what was said is in order.
func (s *Source) first(f Field) string {
	for _, v := range s.said {
		if v.field == f {
			return v.value
		}
	}
	return ""
}

// settle fills the identity: about each field the first saying counts, and what contradicts it is kept as a
// label.
func (s *Source) settle(id *events.Identity) {
	var settled [fields]string
	var exported [fields]bool
	var disputes []saying
	for _, v := range s.said {
		switch {
		case v.field == Label:
			if !s.label(id, v) {
				disputes = append(disputes, v)
			}
		case v.field == Host && local(v.value):
		case settled[v.field] == "":
			settled[v.field], exported[v.field] = v.value, v.rank == Exported
		case !same(v.field, settled[v.field], v.value):
			disputes = append(disputes, v)
		}
	}
	for _, v := range disputes {
		s.dispute(id, v, exported[v.field])
	}
	s.withoutExporter(id, &settled, exported)
	id.UUID, id.Index, id.Device = uuidOf(settled[UUID]), settled[Index], settled[Device]
	id.Model, id.Driver = settled[Model], settled[Driver]
	id.MIG, id.MIGProfile = settled[MIG], settled[MIGProfile]
	id.Pod, id.Namespace, id.Container = settled[Pod], settled[Namespace], settled[Container]
	if settled[PCI] != "" {
		id.PCI = pciAddress(settled[PCI])
	}
}

// withoutExporter sees to it that the exporter's own pod is not taken for the workload. Where Prometheus renames a target's
// labels, the row of a GPU without a workload has no exported_pod, and pod is the exporter's.
func (s *Source) withoutExporter(id *events.Identity, settled *[fields]string, exported [fields]bool) {
	if exported[Pod] || !strings.Contains(settled[Pod], "dcgm-exporter") {
		return
	}
	for _, v := range s.said {
		if v.field >= Pod && v.rank != Exported && v.value == settled[v.field] {
			s.dispute(id, v, true)
		}
	}
	for f := Pod; f <= Container; f++ {
		if !exported[f] {
			settled[f] = ""
		}
	}
}

// label keeps a label; false tells that it contradicts one of its name, which came from a column.
func (s *Source) label(id *events.Identity, v saying) bool {
	i, found := findLabel(id.Labels, v.name)
	if found {
		return id.Labels[i].Value == v.value
	}
	id.Labels = slices.Insert(id.Labels, i, events.Label{Name: v.name, Value: v.value})
	return true
}

// dispute keeps what contradicts a field or a column under a name of its own, and tells unless it is
// expected: beside exported_pod, pod is another one.
func (s *Source) dispute(id *events.Identity, v saying, expected bool) {
	id.Labels = withLabel(id.Labels, DisputedName(v.name), v.value)
	if !expected {
		s.warnings = append(s.warnings, rows.Rejection{
			Column: v.name, Text: rows.Excerpt([]byte(v.value)), Reason: Conflict(v.name),
		})
	}
}

// DisputedName is the label under which that of a name is kept when the row contradicts it.
func DisputedName(name string) string { return name + "_label" }

// Conflict is the warning about such a label.
func Conflict(name string) string {
	return fmt.Sprintf("label_conflict: the row says something else elsewhere, and that counts; this is kept as label %s", DisputedName(name))
}

// withLabel adds a label, under the next free name if there is another of its name.
func withLabel(labels []events.Label, name, value string) []events.Label {
	i, found := findLabel(labels, name)
	for found {
		if labels[i].Value == value {
			return labels
		}
		name = DisputedName(name)
		i, found = findLabel(labels, name)
	}
	return slices.Insert(labels, i, events.Label{Name: name, Value: value})
}

func findLabel(labels []events.Label, name string) (int, bool) {
	return slices.BinarySearchFunc(labels, name, func(l events.Label, name string) int { return strings.Compare(l.Name, name) })
}

func same(f Field, a, b string) bool {
	switch f {
	case PCI:
		return pciAddress(a) == pciAddress(b)
	case Index:
		x, _ := indexOf(a)
		y, ok := indexOf(b)
		return ok && x == y
	case UUID:
		return uuidOf(a) == uuidOf(b)
	}
	return a == b
}

// host finds the row's host: a column or label that names it, else the instance without its port, else what the
// sender says. A name that every host calls itself is none.
func (s *Source) host(opt Options) events.HostID {
	for _, v := range s.said {
		if v.field == Host && !local(v.value) {
			return events.HostID(v.value)
		}
	}
	for _, v := range s.said {
		if v.field == Label && strings.EqualFold(v.name, "instance") {
			if host := hostOf(v.value); host != "" && !local(host) && unfit(host) == "" {
				return events.HostID(host)
			}
		}
	}
	return events.HostID(opt.Host)
}

// place makes the identity name one GPU: its index is a number, and a MIG instance's UUID is not taken for
// the GPU's where the GPU is known otherwise.
func (s *Source) place(id *events.Identity) {
	if id.Index != "" {
		index, ok := indexOf(id.Index)
		if !ok {
			s.refuse(Index, s.nameOf(Index), id.Index, "a GPU's index is a number such as 0")
			return
		}
		id.Index = index
	} else {
		id.Index = deviceIndex(id.Device)
	}
	if isMIG(id.UUID) && id.Index != "" {
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

// draUUID is the label by which a MIG instance is told that was given out by dynamic resource allocation.
const draUUID = "dra_mig_device_uuid"

func (s *Source) nameOf(f Field) string {
	for _, v := range s.said {
		if v.field == f {
			return v.name
		}
	}
	return ""
}
