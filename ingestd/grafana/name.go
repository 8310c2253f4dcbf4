package grafana

import (
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// name holds the parts of a series' name.
type name struct {
	metric string // "" if the name does not contain it
	labels string // in the syntax of Prometheus, with their braces
	field  dialect.Field
	gpu    string // in a legend: an index, a UUID or a device, according to field
	fault  string
}

const (
	faultExpression = "it is an expression over series, and no reading of one of them; export the series itself, without functions and operators"
	faultLegend     = "it is neither a series such as DCGM_FI_DEV_GPU_TEMP{gpu=\"0\",instance=\"n1:9400\"} nor a legend that names a GPU, such as GPU 0; " +
		"clear the legend of the query, so that Grafana exports the full name"
)

// parseName parses a series' name: a selector, a bare metric, or a legend.
func parseName(text string) name {
	text = strings.TrimSpace(text)
	head, labels, found := strings.Cut(text, "{")
	head = strings.TrimSpace(head)
	switch {
	case strings.ContainsAny(head, "()*/+"):
		return name{fault: faultExpression}
	case found && !strings.HasSuffix(labels, "}"):
		return name{fault: faultExpression}
	case found && strings.ContainsAny(head, " \t"):
		return name{fault: faultLegend}
	case found:
		return name{metric: head, labels: "{" + labels}
	}
	if n, ok := parseLegend(text); ok {
		return n
	}
	if _, _, known := metric.Lookup(text); known {
		return name{metric: text}
	}
	return name{fault: faultLegend}
}

// parseLegend parses the usual legends of a GPU in Grafana: GPU 0, GPU0, gpu-0, 0, nvidia0 or its UUID.
func parseLegend(text string) (name, bool) {
	lower := strings.ToLower(text)
	switch {
	case len(text) > len("GPU-000") && (strings.HasPrefix(lower, "gpu-") || strings.HasPrefix(lower, "mig-")):
		return name{field: dialect.UUID, gpu: text}, events.RealUUID(text) && !strings.ContainsAny(text, " \t")
	case strings.HasPrefix(lower, "nvidia") && isDigits(lower[len("nvidia"):]):
		return name{field: dialect.Device, gpu: lower}, true
	}
	index := strings.TrimLeft(strings.TrimPrefix(lower, "gpu"), " _:#-")
	return name{field: dialect.Index, gpu: index}, isDigits(index)
}

func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
