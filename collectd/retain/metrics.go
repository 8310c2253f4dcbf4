package retain

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
)

// metrics are the metrics of a keeper.
type metrics struct {
	objects, bytes                               prometheus.Counter // archived
	events, records                              *readableCounter
	merges, mergedBytes, repeats, objectsRemoved prometheus.Counter
	eventsRemoved, chunksRemoved                 *readableCounter
	failures, compactions, refused               prometheus.Counter
	head                                         *prometheus.GaugeVec
	entries                                      *prometheus.GaugeVec
	held                                         prometheus.Gauge
	seconds                                      *prometheus.HistogramVec
}

// readableCounter is a counter that can be read.
type readableCounter struct {
	prometheus.CounterFunc
	n atomic.Int64
}

func newReadableCounter(name, help string) *readableCounter {
	c := &readableCounter{}
	c.CounterFunc = prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(c.n.Load()) })
	return c
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	perPartition := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"partition"})
	}
	m := &metrics{
		objects:        counter("retain_archived_objects_total", "Objects written to the archive, merged ones not counted."),
		events:         newReadableCounter("retain_archived_events_total", "Events archived."),
		records:        newReadableCounter("retain_archived_records_total", "Records of the events archived."),
		bytes:          counter("retain_archived_bytes_total", "Bytes of the objects written to the archive, merged ones not counted."),
		merges:         counter("retain_merges_total", "Merges of archive entries."),
		mergedBytes:    counter("retain_merged_bytes_total", "Bytes of the objects that merges wrote."),
		repeats:        counter("retain_repeated_records_total", "Records that merges dropped because they were exact repeats."),
		objectsRemoved: counter("retain_removed_objects_total", "Objects removed from the archive after others took their place, or because they are not kept any longer."),
		eventsRemoved:  newReadableCounter("retain_removed_events_total", "Events removed from the log."),
		chunksRemoved:  newReadableCounter("retain_removed_chunks_total", "Chunks of history removed from etcd."),
		failures:       counter("retain_failures_total", "Times that archiving or retention of a partition failed and was tried again."),
		compactions:    counter("retain_compactions_total", "Compactions of etcd's history."),
		refused:        counter("retain_compactions_refused_total", "Compactions that etcd refused because only its role root may compact."),
		head:           perPartition("retain_archive_head_revision", "Revision up to which a partition owned here is archived."),
		entries:        perPartition("retain_archive_entries", "Entries that the archive has of a partition owned here."),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "retain_held_partitions", Help: "Partitions owned here whose expired events stay in the log for a generation being built.",
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "retain_object_seconds", Help: "Time to write and list what belongs to one entry.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 12),
		}, []string{"step"}),
	}
	m.seconds.WithLabelValues("write")
	m.seconds.WithLabelValues("merge")
	return m
}

// Metrics registers the keeper's metrics; call it once.
func (k *Keeper) Metrics(reg prometheus.Registerer) error {
	m := k.metrics
	var all []error
	for _, one := range []prometheus.Collector{
		m.objects, m.events, m.records, m.bytes, m.merges, m.mergedBytes, m.repeats, m.objectsRemoved,
		m.eventsRemoved, m.chunksRemoved, m.failures, m.compactions, m.refused, m.head, m.entries, m.held, m.seconds,
	} {
		all = append(all, reg.Register(one))
	}
	return errors.Join(all...)
}

func (m *metrics) countArchived(e *archive.Entry, took time.Duration) {
	m.objects.Add(float64(len(e.Objects)))
	m.events.n.Add(e.Events)
	m.records.n.Add(e.Records)
	m.bytes.Add(float64(e.Bytes()))
	m.seconds.WithLabelValues("write").Observe(took.Seconds())
}

func (m *metrics) countMerged(old []archive.Entry, e *archive.Entry, took time.Duration) {
	before := int64(0)
	for i := range old {
		before += old[i].Records
	}
	m.merges.Inc()
	m.mergedBytes.Add(float64(e.Bytes()))
	m.repeats.Add(float64(max(0, before-e.Records)))
	m.seconds.WithLabelValues("merge").Observe(took.Seconds())
}

// countedStatus returns the counts since the start of the process.
func (m *metrics) countedStatus() CountedStatus {
	return CountedStatus{
		ArchivedEvents: m.events.n.Load(), ArchivedRecords: m.records.n.Load(),
		DeletedEvents: m.eventsRemoved.n.Load(), DeletedChunks: m.chunksRemoved.n.Load(),
	}
}

// setGauges sets the gauges of a partition.
func (m *metrics) setGauges(p *manifest.Partition) {
	m.head.WithLabelValues(p.ID.String()).Set(float64(p.Head.At.Number))
	m.entries.WithLabelValues(p.ID.String()).Set(float64(len(p.Entries)))
}

// deleteGauges deletes the gauges of a partition that is not owned here any more.
func (m *metrics) deleteGauges(p events.Partition) {
	m.head.DeleteLabelValues(p.String())
	m.entries.DeleteLabelValues(p.String())
}
