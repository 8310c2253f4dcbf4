package observe

import "strings"

// Monitored is one of the measurements that the architecture of the pipeline names as its "Metrics to Monitor".
type Monitored struct {
	Component string // Streamer, Gateway, Collector or Message Queue
	Name      string // as the architecture names it
	Metric    string // that measures it
	Expr      string // the value to watch, of all processes of a Prometheus together
}

// MonitoredMetrics returns the "Metrics to Monitor" with the metric of each and an expression. The table of docs/OPERATE.md is made of it.
func MonitoredMetrics() []Monitored {
	rate := func(counter string) string { return "sum(rate(" + counter + "[5m]))" }
	slowest := func(histogram string) string {
		return "histogram_quantile(0.99, sum by (le) (rate(" + histogram + "_bucket[5m])))"
	}
	const (
		uploads = "telemetry_ingest_uploads_total"
		hits    = "telemetry_history_cache_hits_total"
		misses  = "telemetry_history_cache_misses_total"
	)
	return []Monitored{
		{"Streamer", "Upload rate", uploads, rate(uploads)},
		{"Streamer", "Processing latency", "telemetry_ingest_upload_seconds", slowest("telemetry_ingest_upload_seconds")},
		{"Streamer", "Error rate", uploads, rate(uploads+`{status=~"5.."}`) + " / " + rate(uploads)},
		{"Gateway", "Query rate", "telemetry_query_requests_total", rate("telemetry_query_requests_total")},
		{"Gateway", "Response time", "telemetry_query_request_seconds", slowest("telemetry_query_request_seconds")},
		{"Gateway", "Cache hit rate", hits, rate(hits) + " / (" + rate(hits) + " + " + rate(misses) + ")"},
		{"Collector", "Processing rate", "telemetry_collect_records_total", rate("telemetry_collect_records_total")},
		{"Collector", "Queue depth", "telemetry_collect_waiting_records", "sum(telemetry_collect_waiting_records)"},
		{"Collector", "Storage latency", "telemetry_collect_commit_seconds", slowest("telemetry_collect_commit_seconds")},
		{"Message Queue", "Queue depth", "telemetry_log_events", "max(telemetry_log_events)"},
		{"Message Queue", "Message age", "telemetry_collect_oldest_unfolded_seconds", "max(telemetry_collect_oldest_unfolded_seconds)"},
		{"Message Queue", "Throughput", "telemetry_collect_events_total", rate("telemetry_collect_events_total")},
	}
}

// monitoredHead begins the table of docs/OPERATE.md.
const monitoredHead = "| component | name | metric | PromQL |\n|---|---|---|---|\n"

// writeMonitored returns the table of docs/OPERATE.md.
func writeMonitored(all []Monitored) string {
	var table strings.Builder
	table.WriteString(monitoredHead)
	for _, m := range all {
		table.WriteString("| " + m.Component + " | " + m.Name + " | `" + m.Metric + "` | `" + m.Expr + "` |\n")
	}
	return table.String()
}
