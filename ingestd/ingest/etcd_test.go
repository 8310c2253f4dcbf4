package ingest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// Against a real etcd: uploads answered 200 are in the log, a repeat finds them there, and while etcd is away uploads
// are answered Retry-After, which then works.
func TestEtcdKeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	server := eventstest.NewServer(t, nil)
	log := eventstest.OpenLog(t, server.Config(t))
	s, hasty := startServer(t, Config{}, log, pipelinetest.NewRecorder()), startServer(t, Config{AppendTimeout: 500 * time.Millisecond}, log, pipelinetest.NewRecorder())
	file := pipelinetest.DCGMFile(500, 20)

	compareResponse(t, "first upload", postFile(t, s, "", file), `200
{"success": true, "accepted": 500, "duplicate": 0, "events": {"appended": 20, "existing": 0}, "revision": "*"}`)
	stored := pipelinetest.StoredIn(t, log)
	compareResponse(t, "the same again", postFile(t, s, "?wait=true", file), `200
{"success": true, "accepted": 0, "duplicate": 500, "events": {"appended": 0, "existing": 20}}`)
	memory := pipelinetest.NewRecorderOf(log.Facts().Cut)
	ingestFile(t, memory, file)
	if got, want := len(stored), len(memory.StoredEvents(t)); got != want {
		t.Errorf("etcd has %d events, want %d", got, want)
	}
	if diff := cmp.Diff(stored, pipelinetest.StoredIn(t, log)); diff != "" {
		t.Errorf("the repeat changed the log (-before +after):\n%s", diff)
	}

	checkEtcdSize(t, s, log)

	server.Stop()
	more := pipelinetest.DCGMFile(600, 30)
	compareResponse(t, "without etcd", postFile(t, hasty, "", more), `503
Retry-After: 5
{"success": false, "code": "log_unavailable", "error": "*"}`)
	if err := s.Ready(); err == nil {
		t.Error("ready although etcd is away")
	}
	server.Start(t)
	waitFor(t, "ready again", func() bool { return s.Ready() == nil })
	compareResponse(t, "with etcd again", postFile(t, s, "", more), `200
{"success": true, "record_count": 600}`)
}

// checkEtcdSize compares the metrics of etcd's size with etcd's own answer.
func checkEtcdSize(t *testing.T, s *Server, log *eventlog.Log) {
	t.Helper()
	waitFor(t, "the metrics have the size that etcd has", func() bool { // etcd may grow between the two looks
		s.admission.refreshState(t.Context())
		c, err := log.Capacity(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		size, used, quota := metricValue(t, s, "etcd_database_bytes"), metricValue(t, s, "etcd_database_used_bytes"), metricValue(t, s, "etcd_quota_bytes")
		return size == float64(c.Bytes) && used == float64(c.InUse) && used > 0 && quota == float64(c.Quota) && quota >= 1<<30
	})
}
