package collect

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

const (
	logMeterInterval = 15 * time.Second
	logMeterTimeout  = 10 * time.Second // of one measurement
)

// measuredLog is the part of the event log that a logMeter reads (eventlog.Log).
type measuredLog interface {
	Head(ctx context.Context) (events.Revision, error)
	Size(ctx context.Context, sample events.Partition) (eventlog.Size, error)
	UnreadPartitions(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error)
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
}

// offsetReader reads how far partitions are folded (snapshot.Store).
type offsetReader interface {
	Offsets(ctx context.Context, g projections.Generation) (map[events.Partition]projections.Offsets, error)
}

// logMeter measures the whole log, of all partitions, at intervals. The collector that leads the active generation runs it, and no
// other reports its metrics. A scrape reads nothing from etcd.
type logMeter struct {
	log        measuredLog
	offsets    offsetReader
	partitions int
	interval   time.Duration

	events, bytes, oldest *prometheus.Desc

	mu       sync.Mutex // guards the fields below
	known    bool       // this collector leads, and has measured
	size     eventlog.Size
	unfolded map[events.Partition]unfoldedEvent // the oldest event of each partition that is not folded and stored
	next     events.Partition                   // whose events are measured next
	sampled  map[events.Partition]eventlog.Size
}

// unfoldedEvent is an event that waits for its fold.
type unfoldedEvent struct {
	revision int64
	at       time.Time // of its append
}

func newLogMeter(log measuredLog, offsets offsetReader, partitions int) *logMeter {
	return &logMeter{
		log: log, offsets: offsets, partitions: partitions, interval: logMeterInterval,
		events:   prometheus.NewDesc("log_events", "Events of the log in etcd; reported by the collector that leads.", nil, nil),
		bytes:    prometheus.NewDesc("log_bytes", "Bytes of these events with their keys, from the mean size of a sample; reported by the collector that leads.", nil, nil),
		oldest:   prometheus.NewDesc("collect_oldest_unfolded_seconds", "Age of the oldest event of all partitions that is not folded and stored, 0 if there is none; reported by the collector that leads.", nil, nil),
		unfolded: map[events.Partition]unfoldedEvent{}, sampled: map[events.Partition]eventlog.Size{},
	}
}

// run measures until ctx ends. An error leaves the last measurement, in which the oldest event gets older.
func (m *logMeter) run(ctx context.Context, g projections.Generation, failed func(error)) {
	defer m.forgetAll()
	for {
		if err := m.measureOnce(ctx, g); err != nil && ctx.Err() == nil {
			failed(err)
		}
		if !wait.Sleep(ctx, m.interval) {
			return
		}
	}
}

// forgetAll ends the reports of this collector.
func (m *logMeter) forgetAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.unfolded, m.sampled = false, map[events.Partition]unfoldedEvent{}, map[events.Partition]eventlog.Size{}
}

func (m *logMeter) measureOnce(ctx context.Context, g projections.Generation) error {
	ctx, cancel := context.WithTimeout(ctx, logMeterTimeout)
	defer cancel()
	size, err := m.log.Size(ctx, m.next)
	if err != nil {
		return err
	}
	unfolded, err := m.findUnfolded(ctx, g)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known, m.size, m.unfolded = true, size, unfolded
	m.sampled[m.next] = size
	m.next = (m.next + 1) % events.Partition(m.partitions)
	return nil
}

// findUnfolded returns the oldest unfolded event of each partition that has one. An event found before is not looked for again
// until it is folded.
func (m *logMeter) findUnfolded(ctx context.Context, g projections.Generation) (map[events.Partition]unfoldedEvent, error) {
	head, err := m.log.Head(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := m.offsets.Offsets(ctx, g)
	if err != nil {
		return nil, err
	}
	found, after := map[events.Partition]unfoldedEvent{}, map[events.Partition]events.Revision{}
	for p := range events.Partition(m.partitions) {
		at := earlierRevision(stored[p].Live, stored[p].Series)
		if was, ok := m.unfolded[p]; ok && was.revision > at.Number {
			found[p] = was
			continue
		}
		if at.Number == 0 {
			at = head
			at.Number = 0
		}
		after[p] = at
	}
	unread, err := m.log.UnreadPartitions(ctx, after, head)
	if err != nil {
		return nil, err
	}
	for _, p := range unread {
		first, ok, err := m.firstAfter(ctx, p, after[p], head)
		if err != nil {
			return nil, err
		}
		if ok {
			found[p] = first
		}
	}
	return found, nil
}

// firstAfter returns a partition's first event after a position.
func (m *logMeter) firstAfter(ctx context.Context, p events.Partition, after, head events.Revision) (unfoldedEvent, bool, error) {
	refs, _, err := m.log.List(ctx, events.Listing{Partition: p, HasPartition: true, After: after, Upto: head, Limit: 1})
	if err != nil || len(refs) == 0 {
		return unfoldedEvent{}, false, err
	}
	for ev, err := range m.log.Fetch(ctx, refs[:1]) {
		if err != nil {
			return unfoldedEvent{}, false, err
		}
		at := ev.AppendedAt.Time()
		if ev.AppendedAt == 0 { // of a damaged event, say
			at = time.Now()
		}
		return unfoldedEvent{refs[0].Revision.Number, at}, true, nil
	}
	return unfoldedEvent{}, false, nil // removed meanwhile
}

// Describe sends the descriptions of the metrics.
func (m *logMeter) Describe(out chan<- *prometheus.Desc) {
	out <- m.events
	out <- m.bytes
	out <- m.oldest
}

// Collect sends the metrics if this collector leads.
func (m *logMeter) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.known {
		return
	}
	out <- prometheus.MustNewConstMetric(m.events, prometheus.GaugeValue, float64(m.size.Events))
	out <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, m.estimateBytes())
	out <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, m.oldestAge(time.Now()).Seconds())
}

// estimateBytes returns the number of events times the mean size of the sampled ones.
func (m *logMeter) estimateBytes() float64 {
	count, bytes := int64(0), int64(0)
	for _, s := range m.sampled {
		count, bytes = count+s.Sampled, bytes+s.Bytes
	}
	if count == 0 {
		return 0
	}
	return float64(m.size.Events) * float64(bytes) / float64(count)
}

func (m *logMeter) oldestAge(now time.Time) time.Duration {
	age := time.Duration(0)
	for _, one := range m.unfolded {
		age = max(age, now.Sub(one.at))
	}
	return age
}

// measureLog measures the log while this collector leads the active generation.
func (c *Collector) measureLog(ctx context.Context, w *generationRun) {
	if c.meter == nil {
		return
	}
	select {
	case <-w.active:
		c.meter.run(ctx, w.generation, func(err error) { c.lg.Warn("measuring the log failed; trying again", "err", err) })
	case <-ctx.Done():
	}
}
