package transfer

import (
	"fmt"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// rowWriter writes records as rows of the DCGM long form.
type rowWriter struct{}

func (rowWriter) header() []byte {
	return []byte("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
}

// appendEvent appends the rows of an event. A damaged one has none.
func (rowWriter) appendEvent(dst []byte, ev *events.Event) ([]byte, error) {
	if ev.Damage != nil {
		return dst, nil
	}
	for i := range ev.Columns {
		c := &ev.Columns[i]
		id := &ev.Identities[c.Identity]
		name := sourceOf(c)
		labels := labelsOf(id)
		for at, v := range c.All() {
			value := v.Raw
			if v.Absent == events.Present {
				value = v.Number.String()
			}
			cells := [...]string{at.String(), name, id.Index, id.Device, id.UUID, id.Model, string(ev.Host), id.Container, id.Pod, id.Namespace, value, labels}
			for k, cell := range cells {
				if k > 0 {
					dst = append(dst, ',')
				}
				dst = fmt.Appendf(dst, `"%s"`, strings.ReplaceAll(cell, `"`, `""`))
			}
			dst = append(dst, '\n')
		}
	}
	return dst, nil
}

// sourceOf returns a name under which readings keep their stored meaning: the source's name, unless it stands for
// another unit, or for another metric in another file.
func sourceOf(c *events.Column) string {
	m, conversion, _ := metric.Lookup(c.Source)
	if m.Name == c.Metric && conversion.Exact() {
		return c.Source
	}
	return c.Metric
}

// labelsOf returns the labels without a column of their own, in the syntax of Prometheus.
func labelsOf(id *events.Identity) string {
	var b strings.Builder
	add := func(name, value string) {
		if value == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(labelName(name) + `="` + escapeLabel(value) + `"`)
	}
	add("DCGM_FI_DRIVER_VERSION", id.Driver)
	add("pci_bus_id", id.PCI)
	add("GPU_I_ID", id.MIG)
	add("GPU_I_PROFILE", id.MIGProfile)
	for _, l := range id.Labels {
		add(l.Name, l.Value)
	}
	return b.String()
}

// labelName returns a name, quoted unless it consists of letters, digits and '_'.
func labelName(name string) string {
	if name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return name
	}
	return `"` + escapeLabel(name) + `"`
}

func escapeLabel(text string) string {
	if !strings.ContainsAny(text, "\\\"\n") {
		return text
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text)
}
