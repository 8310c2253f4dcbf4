package collect

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of a collector.
type metrics struct {
	events, records           prometheus.Counter
	commits, chunks, restarts prometheus.Counter
	merged                    prometheus.Counter
	quarantined               *prometheus.CounterVec
	owned                     prometheus.Gauge
	entries                   prometheus.Gauge // of the quarantine, as the next two
	held, heldRecords         prometheus.Gauge
	commitSeconds             prometheus.Histogram
	lag                       prometheus.Histogram
	waiting                   *waitingRecords
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		waiting:  newWaitingRecords(),
		events:   counter("collect_events_total", "Events folded; one that is read again after a restart counts again."),
		records:  counter("collect_records_total", "Records of the events folded."),
		commits:  counter("collect_commits_total", "Commits stored."),
		chunks:   counter("collect_chunks_total", "Chunks of history stored."),
		merged:   counter("collect_merged_chunks_total", "Chunks of history that were merged with others of their hour."),
		restarts: counter("collect_restarts_total", "Times that a partition was loaded again after an error."),
		quarantined: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "collect_quarantined_events_total",
			Help: "Folds that failed, by reason: the event went to the quarantine, or stayed there when it was retried.",
		}, []string{"reason"}),
		owned: prometheus.NewGauge(prometheus.GaugeOpts{Name: "collect_owned_partitions", Help: "Partitions owned here."}),
		entries: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "collect_quarantine_entries", Help: "Entries in the quarantine of the partitions owned here.",
		}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "collect_quarantine_events", Help: "Events in the quarantine of the partitions owned here, with those that only summaries count.",
		}),
		heldRecords: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "collect_quarantine_records", Help: "Records of these events that are in no view; of damaged events they are not known.",
		}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "collect_commit_seconds", Help: "Time of one commit.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12),
		}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "collect_catchup_lag_revisions", Help: "Revisions behind the head when catching up.", Buckets: prometheus.ExponentialBuckets(1, 10, 7),
		}),
	}
	for _, reason := range []string{overwritten, unknownEncoding, undecodable, panicked, missing, oversized} {
		m.quarantined.WithLabelValues(reason) // begins with 0, so that the first event is an increase
	}
	return m
}

// Metrics registers the metrics of the collector and of the parts that Open made for it.
func (c *Collector) Metrics(reg prometheus.Registerer) error {
	m := c.metrics
	var all []error
	for _, one := range []prometheus.Collector{m.events, m.records, m.commits, m.chunks, m.merged, m.restarts, m.quarantined, m.owned, m.entries, m.held, m.heldRecords, m.commitSeconds, m.lag} {
		all = append(all, reg.Register(one))
	}
	all = append(all, reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "collect_waiting_records", Help: "Records read by this process that are not stored yet.",
	}, m.waiting.count)))
	if c.meter != nil {
		all = append(all, reg.Register(c.meter))
	}
	for _, register := range c.registrations {
		all = append(all, register(reg))
	}
	return errors.Join(all...)
}
