package observe

// Pipeline returns the dashboard of the pipeline's own metrics.
func Pipeline() *Dashboard {
	l := &layout{}
	addOverview(l)
	addUploads(l)
	addFolding(l)
	addStorage(l)
	addQueries(l)
	addProcesses(l)
	return &Dashboard{
		UID: "telemetry-pipeline", Title: "GPU telemetry pipeline", Tags: []string{"gpu", "telemetry"},
		Description:   "Uploads, folding, storage and queries of the telemetry pipeline, from the admin ports of its daemons.",
		SchemaVersion: schemaVersion, Timezone: "browser", Editable: true, Refresh: "30s", Time: TimeRange{From: "now-1h", To: "now"},
		Templating: Templating{List: []Variable{
			sourceVariable(),
			labelVariable("namespace", "Namespace", "label_values(telemetry_build_info, namespace)"),
			labelVariable("instance", "Instance", `label_values(telemetry_build_info{namespace=~"$namespace"}, instance)`),
		}},
		Panels: l.panels,
	}
}

// chosen selects the series of the chosen instances; it stands in braces, alone or behind other matchers.
const chosen = `namespace=~"$namespace",instance=~"$instance"`

// rateOf returns the expression of a counter's rate, by labels; matchers end with a comma.
func rateOf(counter, matchers, by string) string {
	return "sum by (" + by + ") (rate(" + counter + "{" + matchers + chosen + "}[$__rate_interval]))"
}

// quantileOf returns the expression of a quantile of a histogram, by labels.
func quantileOf(quantile, histogram, by string) string {
	return "histogram_quantile(" + quantile + ", " + rateOf(histogram+"_bucket", "", by) + ")"
}

// quantiles returns the lines of the median and the 99th percentile of a histogram.
func quantiles(histogram string) []line {
	return []line{{quantileOf("0.5", histogram, "le"), "median"}, {quantileOf("0.99", histogram, "le"), "99 %"}}
}

func addOverview(l *layout) {
	l.startRow("Now")
	l.addStat("Parts not ready", "none", "Parts of processes whose /ready answers 503.", line{`sum(telemetry_ready{` + chosen + `} == bool 0)`, ""})
	l.addStat("Parts degraded", "none", "Parts that work and need people; /health says why.", line{`sum(telemetry_degraded{` + chosen + `})`, ""})
	l.addStat("Partitions without collector", "none", "Their hosts' views stand still.", line{`max(telemetry_partition_partitions_unowned{` + chosen + `})`, ""})
	l.addStat("Oldest unfolded event", "s", "Age of the oldest event that is in no view.", line{`max(telemetry_collect_oldest_unfolded_seconds{` + chosen + `})`, ""})
	l.addStat("Quarantined events", "none", "Events that could not be folded.", line{`sum(telemetry_collect_quarantine_events{` + chosen + `})`, ""})
	l.addStat("GPUs in the view", "none", "GPUs that queryd answers for; of a gateway, of all its clusters.", line{`sum(max by (cluster, exported_cluster) (telemetry_live_gpus{` + chosen + `}))`, ""})
}

func addUploads(l *layout) {
	l.startRow("Uploads")
	l.addGraph("Uploads", "reqps", "Uploads answered, by HTTP status.", line{rateOf("telemetry_ingest_uploads_total", "", "status"), "{{status}}"})
	l.addGraph("Records", "cps", "Records of uploaded files, by result.", line{rateOf("telemetry_ingest_records_total", "", "result"), "{{result}}"})
	l.addGraph("Rows by dialect", "cps", "Rows read, by the form of the file.", line{rateOf("telemetry_ingest_dialect_rows_total", "", "dialect"), "{{dialect}}"})
	l.addGraph("Errors and refusals", "reqps", "Answers of 4xx and 5xx, and refusals with a time to retry.",
		line{rateOf("telemetry_ingest_uploads_total", `status=~"[45]..",`, "status"), "{{status}}"},
		line{rateOf("telemetry_ingest_refused_total", "", "reason"), "{{reason}}"})
	l.addGraph("Upload latency", "s", "Time of whole uploads; slow senders and wait=true are part of it.", quantiles("telemetry_ingest_upload_seconds")...)
	l.addGraph("Append latency", "s", "Time of one append to the log.", quantiles("telemetry_ingest_append_seconds")...)
	l.addGraph("Bytes uploaded", "Bps", "Bytes of uploaded files.", line{rateOf("telemetry_ingest_bytes_total", "", "instance"), "{{instance}}"})
	l.addGraph("In flight", "none", "Uploads under way, and uploads of the background that wait.",
		line{`sum(telemetry_ingest_uploads_in_flight{` + chosen + `})`, "in flight"}, line{`sum(telemetry_ingest_background_uploads{` + chosen + `})`, "background"})
	l.addGraph("Share of time open", "percentunit", "1 when uploads are not slowed down, 0 when they are refused.", line{`min(telemetry_ingest_admission_share_ratio{` + chosen + `})`, "share"})
}

func addFolding(l *layout) {
	l.startRow("Folding")
	l.addGraph("Queue depth", "none", "Records read or queued and not yet committed.", line{`sum by (instance) (telemetry_collect_waiting_records{` + chosen + `})`, "{{instance}}"})
	l.addGraph("Age of the oldest unfolded event", "s", "How old views are at worst; an alert fires at 5 minutes.",
		line{`max(telemetry_collect_oldest_unfolded_seconds{` + chosen + `})`, "all partitions"}, line{`max(telemetry_ingest_admission_lag_seconds{` + chosen + `})`, "own appends of ingestd"})
	l.addGraph("Folded", "cps", "Records folded.", line{rateOf("telemetry_collect_records_total", "", "instance"), "{{instance}}"})
	l.addGraph("Commit latency", "s", "Time of one commit of projections.", quantiles("telemetry_collect_commit_seconds")...)
	l.addGraph("Partitions", "none", "Partitions by owner, and without one.",
		line{`sum by (instance) (telemetry_collect_owned_partitions{` + chosen + `})`, "{{instance}}"}, line{`max(telemetry_partition_partitions_unowned{` + chosen + `})`, "without owner"})
	l.addGraph("Quarantine", "none", "Events that could not be folded: in the quarantine now, and new ones.",
		line{`sum(telemetry_collect_quarantine_events{` + chosen + `})`, "events"},
		line{`sum by (reason) (increase(telemetry_collect_quarantined_events_total{` + chosen + `}[$__rate_interval]))`, "new: {{reason}}"})
	l.addGraph("Transactions", "ops", "Transactions that wrote projections, by result.", line{rateOf("telemetry_snapshot_transactions_total", "", "result"), "{{result}}"})
	l.addGraph("Reloads of partitions", "none", "Times that a partition was loaded again after an error.", line{`sum(increase(telemetry_collect_restarts_total{` + chosen + `}[$__rate_interval]))`, "reloads"})
	l.addGraph("Foreign keys waiting", "none", "Keys of other programs that are not taken in yet.", line{`sum(telemetry_foreign_keys_waiting{` + chosen + `})`, "keys"})
}

func addStorage(l *layout) {
	l.startRow("etcd and archive")
	l.addGraph("etcd size", "bytes", "Size of the file, bytes in use, and the quota. Uploads are slowed down at 60 % in use, and refused at 80 %.",
		line{`max(telemetry_etcd_database_bytes{` + chosen + `})`, "file"}, line{`max(telemetry_etcd_database_used_bytes{` + chosen + `})`, "in use"}, line{`min(telemetry_etcd_quota_bytes{` + chosen + `})`, "quota"})
	l.addGraph("Log", "none", "Events of the log in etcd.", line{`max(telemetry_log_events{` + chosen + `})`, "events"})
	l.addGraph("Log bytes", "bytes", "Bytes of the log in etcd.", line{`max(telemetry_log_bytes{` + chosen + `})`, "bytes"})
	l.addGraph("Archived", "cps", "Records archived, and events removed from the log.",
		line{rateOf("telemetry_retain_archived_records_total", "", "instance"), "records {{instance}}"}, line{rateOf("telemetry_retain_removed_events_total", "", "instance"), "removed {{instance}}"})
	l.addGraph("Archive heads", "none", "Newest and oldest revision up to which partitions are archived.",
		line{`max(telemetry_retain_archive_head_revision{` + chosen + `})`, "newest"}, line{`min(telemetry_retain_archive_head_revision{` + chosen + `} > 0)`, "oldest"})
	l.addGraph("Failures", "none", "Archiving that failed, and compactions that etcd refused.",
		line{`sum(increase(telemetry_retain_failures_total{` + chosen + `}[$__rate_interval]))`, "archive"}, line{`sum(increase(telemetry_retain_compactions_refused_total{` + chosen + `}[$__rate_interval]))`, "compaction refused"})
}

func addQueries(l *layout) {
	l.startRow("Queries and subscribers")
	l.addGraph("Queries", "reqps", "Requests, by route.", line{rateOf("telemetry_query_requests_total", "", "route"), "{{route}}"})
	l.addGraph("Query errors", "reqps", "Answers of 5xx, by route.", line{rateOf("telemetry_query_requests_total", `status=~"5..",`, "route, status"), "{{route}} {{status}}"})
	l.addGraph("Query latency, 99 %", "s", "By route; waiting (?wait=) is part of it.", line{quantileOf("0.99", "telemetry_query_request_seconds", "route, le"), "{{route}}"})
	l.addGraph("GraphQL operations", "ops", "By kind and result.", line{rateOf("telemetry_graph_operations_total", "", "operation, result"), "{{operation}} {{result}}"})
	l.addGraph("Cache hits", "percentunit", "Share of reads of history that found their data in memory.",
		line{rateOf("telemetry_history_cache_hits_total", "", "cache") + " / (" + rateOf("telemetry_history_cache_hits_total", "", "cache") + " + " + rateOf("telemetry_history_cache_misses_total", "", "cache") + ")", "{{cache}}"})
	l.addGraph("Age of the view", "s", "Time since etcd last confirmed the view.", line{`max by (instance) (telemetry_live_view_age_seconds{` + chosen + `})`, "{{instance}}"})
	l.addGraph("Sockets", "none", "WebSocket connections, by protocol.", line{`sum by (protocol) (telemetry_socket_connections{` + chosen + `})`, "{{protocol}}"})
	l.addGraph("Subscribers", "none", "Open subscriptions, by mode.", line{`sum by (mode) (telemetry_live_subscribers{` + chosen + `})`, "{{mode}}"})
	l.addGraph("Ended and reset", "none", "Sockets that ended, subscribers ended as too slow, and resets.",
		line{`sum by (cause) (increase(telemetry_socket_closed_total{` + chosen + `}[$__rate_interval]))`, "closed: {{cause}}"},
		line{`sum(increase(telemetry_live_slow_total{` + chosen + `}[$__rate_interval]))`, "too slow"},
		line{`sum by (reason) (increase(telemetry_live_resets_total{` + chosen + `}[$__rate_interval]))`, "reset: {{reason}}"})
}

func addProcesses(l *layout) {
	l.startRow("Processes")
	l.addGraph("CPU", "none", "Cores in use.", line{`sum by (job, instance) (rate(process_cpu_seconds_total{` + chosen + `}[$__rate_interval]) * on (job, instance) group_left () telemetry_build_info)`, "{{job}} {{instance}}"})
	l.addGraph("Memory", "bytes", "Resident memory.", line{`sum by (job, instance) (process_resident_memory_bytes{` + chosen + `} * on (job, instance) group_left () telemetry_build_info)`, "{{job}} {{instance}}"})
	l.addGraph("Goroutines", "none", "Goroutines.", line{`sum by (job, instance) (go_goroutines{` + chosen + `} * on (job, instance) group_left () telemetry_build_info)`, "{{job}} {{instance}}"})
	l.addTable("Builds", "none", "Version and revision of each process.", line{`telemetry_build_info{` + chosen + `}`, ""})
	l.addTable("Certificates", "s", "Time until the certificate of each listener expires; empty without TLS.", line{`min by (job, instance) (telemetry_tls_certificate_expiry_seconds{` + chosen + `})`, ""})
}
