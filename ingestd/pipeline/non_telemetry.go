package pipeline

import (
	"bytes"
	"strings"
)

// nonTelemetry is a kind of text that people send beside telemetry, or in its place.
type nonTelemetry struct {
	matches func(head string) bool
	kind    string
	advice  string
}

// knownNonTelemetry returns the kinds in the order in which they are tried.
func knownNonTelemetry() []nonTelemetry {
	const query = "nvidia-smi --query-gpu=timestamp,index,uuid,utilization.gpu,memory.used,temperature.gpu,power.draw --format=csv -l 1"
	return []nonTelemetry{
		{isCounters, "a counters file of dcgm-exporter: it names the metrics to export and has no readings",
			"send what the exporter serves at /metrics (curl -s host:9400/metrics)"},
		{hasMarkers("{", `"panels"`), "a Grafana dashboard: it draws readings and has none",
			"send the data of its panels (Inspect, Data, Download CSV)"},
		{hasMarkers("{", `"resultType"`), "an answer of Prometheus in JSON", "send CSV or text: a scrape of the exporter, or an export as CSV"},
		{hasMarkers("<", "nvidia_smi_log"), "the XML of nvidia-smi -q -x", "send CSV: " + query},
		{hasMarkers("=", "NVSMI LOG"), "the report of nvidia-smi -q", "send CSV: " + query},
		{hasMarkers("+-", "NVIDIA-SMI"), "the table that nvidia-smi prints for people", "send CSV: " + query},
		{isTableUnderDate, "the table that nvidia-smi prints for people", "send CSV: " + query},
		{hasMarkers("GPU 0: ", "(UUID: "), "the list of nvidia-smi -L: it has no readings", "send CSV: " + query},
		{hasMarkers("NVIDIA-SMI has failed", ""), "a failure of nvidia-smi: it could not reach the driver", "see that nvidia-smi works on that host first"},
		{hasMarkers("Failed to initialize NVML", ""), "a failure of nvidia-smi: it could not reach the driver", "see that nvidia-smi works on that host first"},
		{hasMarkers("Unable to determine the device handle", ""), "a failure of nvidia-smi: it could not reach a GPU", "see that nvidia-smi works on that host first"},
		{hasMarkers("HTTP/", "DCGM_"), "an answer of the exporter with its HTTP header", "leave that out (curl -s, without -i)"},
		{hasMarkers("No devices were found", ""), "a failure of nvidia-smi: it found no GPU", "see that nvidia-smi works on that host first"},
		{isMachineInfo, "a description of a machine by Fleet Intelligence (fleetint_machine_info): it has no readings",
			"send fleetint_metrics_*.csv of the same export"},
		{hasMarkers("", "NVRM: Xid"), "a log of the kernel", "send metrics; faults are read from DCGM_FI_DEV_XID_ERRORS"},
		{hasPrefixFold("<!doctype html"), "a page in HTML, such as of a login or an error", "send the file that was meant"},
		{hasPrefixFold("<html"), "a page in HTML, such as of a login or an error", "send the file that was meant"},
		{isJSON, "JSON", "send CSV or text"},
		{hasMarkers("<?xml", ""), "XML", "send CSV or text"},
	}
}

// recognizeNonTelemetry returns the kind of a text that is no telemetry; nil when it is none of the known kinds.
func recognizeNonTelemetry(head []byte) *nonTelemetry {
	text := string(bytes.TrimLeft(head, " \t\r\n"))
	for _, s := range knownNonTelemetry() {
		if s.matches(text) {
			return &s
		}
	}
	return nil
}

func hasMarkers(prefix, inside string) func(string) bool {
	return func(head string) bool { return strings.HasPrefix(head, prefix) && strings.Contains(head, inside) }
}

func hasPrefixFold(prefix string) func(string) bool {
	return func(head string) bool {
		return len(head) >= len(prefix) && strings.EqualFold(head[:len(prefix)], prefix)
	}
}

// isCounters matches the first line that is no comment: DCGM_FI_DEV_SM_CLOCK, gauge, SM clock frequency (in MHz).
func isCounters(head string) bool {
	for line := range strings.Lines(head) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cells := strings.SplitN(line, ",", 3)
		if len(cells) < 3 || !strings.HasPrefix(strings.ToUpper(cells[0]), "DCGM_") {
			return false
		}
		switch strings.ToLower(strings.Trim(cells[1], ` "`)) {
		case "gauge", "counter", "label", "histogram", "summary":
			return true
		}
		return false
	}
	return false
}

func isMachineInfo(head string) bool {
	first, _, _ := strings.Cut(head, "\n")
	return strings.EqualFold(strings.ReplaceAll(strings.TrimSpace(first), `"`, ""), "attribute_name,attribute_value")
}

// isTableUnderDate recognizes nvidia-smi's table, above which it prints the time.
func isTableUnderDate(head string) bool {
	_, table, _ := strings.Cut(head, "\n")
	return hasMarkers("+-", "| NVIDIA-SMI")(table)
}

func isJSON(head string) bool {
	for _, start := range []string{"{", "[{", "[["} {
		rest, found := strings.CutPrefix(head, start)
		if rest = strings.TrimLeft(rest, " \t\r\n"); found && (strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, "}")) {
			return true
		}
	}
	return false
}
