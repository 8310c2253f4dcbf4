package ingest

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline"
)

// totals count the server's work since it started; status and metrics read the same numbers.
type totals struct {
	uploads                               atomic.Int64
	inFlight                              atomic.Int64
	bytes                                 atomic.Int64
	accepted, duplicate, rejected, absent atomic.Int64
	eventsAppended, eventsExisting        atomic.Int64
	byStatus                              *prometheus.CounterVec
	refused                               *prometheus.CounterVec
	appendSeconds                         prometheus.Histogram
	uploadSeconds                         *prometheus.HistogramVec
	dialectRows                           *prometheus.CounterVec
}

func newTotals() *totals {
	t := &totals{
		byStatus: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingest_uploads_total", Help: "Uploads answered, by HTTP status.",
		}, []string{"status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingest_refused_total", Help: "Uploads refused with a time to retry, by the code of the answer.",
		}, []string{"reason"}),
		appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ingest_append_seconds", Help: "Time of one append of a group of events to the log.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		uploadSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ingest_upload_seconds", Help: "Time from the beginning of an upload to its end, by the class of its HTTP status; in the background with the wait for its turn.",
			Buckets: prometheus.ExponentialBuckets(0.002, 3, 13),
		}, []string{"status"}),
		dialectRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingest_dialect_rows_total", Help: "Rows read, by the dialect of their file.",
		}, []string{"dialect"}),
	}
	t.createSeries()
	return t
}

// createSeries creates the series of labels whose values are known, so that they begin with 0 and the first event is an increase.
func (t *totals) createSeries() {
	for _, class := range []string{"2xx", "4xx", "5xx"} {
		t.uploadSeconds.WithLabelValues(class)
	}
	for _, g := range pipeline.Grammars() {
		t.dialectRows.WithLabelValues(g.Name)
	}
	for _, status := range []int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.byStatus.WithLabelValues(strconv.Itoa(status))
	}
	for _, code := range []string{
		answer.CodeTooManyRequests, answer.CodeTooManyRecords, answer.CodeTooManyUploads, answer.CodeCollectorsBehind,
		answer.CodeLogFull, answer.CodeLogNearlyFull, answer.CodeLogSlow, answer.CodeLogUnavailable, answer.CodeStopping,
	} {
		t.refused.WithLabelValues(code)
	}
}

// statusClass returns the class of an HTTP status, such as 2xx.
func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }

// countUpload counts an upload that has ended.
func (t *totals) countUpload(status int, o *answer.Outcome) {
	t.uploadSeconds.WithLabelValues(statusClass(status)).Observe(time.Since(o.BeganAt).Seconds())
	for _, f := range o.Files {
		if f.Dialect != "" {
			t.dialectRows.WithLabelValues(f.Dialect).Add(float64(f.Metadata.Rows))
		}
	}
	rec := o.Whole
	t.uploads.Add(1)
	t.byStatus.WithLabelValues(strconv.Itoa(status)).Inc()
	t.bytes.Add(rec.Size)
	t.accepted.Add(rec.Accepted)
	t.duplicate.Add(rec.Duplicate)
	t.rejected.Add(rec.Rejected)
	t.absent.Add(rec.Absent)
	t.eventsAppended.Add(rec.Events.Appended)
	t.eventsExisting.Add(rec.Events.Existing)
}

// Metrics registers the server's metrics.
func (s *Server) Metrics(reg prometheus.Registerer) error {
	t := s.totals
	var failed *multierror.Error
	for _, c := range append(s.admission.stateGauges(),
		t.byStatus,
		t.refused,
		t.appendSeconds,
		t.uploadSeconds,
		t.dialectRows,
		newCounter("ingest_bytes_total", "Bytes of uploaded files.", nil, &t.bytes),
		recordCounter("accepted", &t.accepted),
		recordCounter("duplicate", &t.duplicate),
		recordCounter("rejected", &t.rejected),
		recordCounter("absent", &t.absent),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_uploads_in_flight", Help: "Uploads being read or appended now.",
		}, func() float64 { return float64(t.inFlight.Load()) }),
		newLookups("hit", s.runner.KnownOrigins().Hits),
		newLookups("miss", s.runner.KnownOrigins().Misses),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_known_origins_bytes", Help: "Memory of the origins of rows (hosts and GPUs) that are remembered from file to file.",
		}, func() float64 { return float64(s.runner.KnownOrigins().Bytes()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_background_uploads", Help: "Uploads with async=true that wait or are being processed.",
		}, func() float64 { return float64(s.background.SpoolStatus().Uploads) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_spool_bytes", Help: "Bytes of files in the upload directory.",
		}, func() float64 { return float64(s.background.SpoolStatus().Bytes) }),
	) {
		if err := reg.Register(c); err != nil {
			failed = multierror.Append(failed, err)
		}
	}
	return failed.ErrorOrNil()
}

func recordCounter(result string, n *atomic.Int64) prometheus.Collector {
	return newCounter("ingest_records_total",
		"Records of uploaded files: accepted, duplicate (in the log before), rejected (rows and cells that gave none), "+
			"absent (stored with a reason instead of a number).",
		prometheus.Labels{"result": result}, n)
}

func newLookups(result string, n func() int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "ingest_known_origins_total", Help: "First rows of an origin in a file, by whether the origin is known from another file.",
		ConstLabels: prometheus.Labels{"result": result},
	}, func() float64 { return float64(n()) })
}

func newCounter(name, help string, labels prometheus.Labels, n *atomic.Int64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
		func() float64 { return float64(n.Load()) })
}
