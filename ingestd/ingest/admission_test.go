package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

func TestUploadsAreRefusedWhileEtcdIsNearlyFullAndTakenAfter(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	setCapacity(s, log, capacityOf(80, 85), nil)
	compareResponse(t, "at the hard threshold", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `503
Retry-After: 60
{"success": false, "code": "log_nearly_full", "error": "/80.0 MiB.*100.0 MiB.*etcd-full.md/"}`)
	compareResponse(t, "status", getPath(t, s, "/api/v1/status"), `200
{"status": "ok", "admission": {"verdict": "refusing", "code": "log_nearly_full", "reason": "*", "retry_after_seconds": 60, "share": 0.5,
 "stops_uploads_under_way": true, "checked_at": "*",
 "size": {"endpoint": "etcd-1", "in_use_bytes": 83886080, "quota_bytes": 104857600, "percent": 80, "soft_percent": 60, "hard_percent": 80,
          "file_percent": 85, "file_hard_percent": 95, "no_space": false},
 "lag": {"seconds": 0, "soft_seconds": 60, "hard_seconds": 600}, "latency": {"seconds": 0, "soft_seconds": 2, "hard_seconds": 10},
 "rate": {"records_per_second": 0}}}`)
	if got := metricValue(t, s, "ingest_refused_total log_nearly_full"); got != 1 {
		t.Errorf("refused are %v, want 1", got)
	}
	if got := metricValue(t, s, "ingest_admission_size_ratio"); got != 0.8 {
		t.Errorf("the size is %v, want 0.8", got)
	}
	setCapacity(s, log, capacityOf(70, 85), nil)
	compareResponse(t, "between the thresholds", getPath(t, s, "/api/v1/status"), `200
{"admission": {"verdict": "slowed", "code": "log_nearly_full", "share": 0.75, "stops_uploads_under_way": false}}`)
	compareResponse(t, "upload between the thresholds", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `200
{"success": true, "accepted": 10}`)
	setCapacity(s, log, capacityOf(20, 85), nil)
	compareResponse(t, "room again", getPath(t, s, "/api/v1/status"), `200
{"admission": {"verdict": "open", "share": 1}}`)
}

// The stored records of a stopped upload stay, its sender is answered so, and sending it again adds the rest.
func TestUploadUnderWayIsStoppedAtTheHardThreshold(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	body := multipartOf(pipelinetest.DCGMFile(12_000, 3))
	half := len(body) / 2
	c := beginUpload(t, s, body[:half])
	waitFor(t, "some of it is stored", func() bool { return len(log.StoredEvents(t)) > 5 })
	setCapacity(s, log, capacityOf(81, 81), nil)
	stopped := endUpload(t, c, body[half:])
	compareResponse(t, "the upload", stopped, `503
Retry-After: 60
{"success": false, "code": "log_nearly_full", "status": "partial", "error": "/[0-9]+ of its records are stored already, and sending them again is harmless/"}`)
	stored := len(log.StoredEvents(t))
	setCapacity(s, log, capacityOf(30, 81), nil)
	compareResponse(t, "again", postFile(t, s, "", pipelinetest.DCGMFile(12_000, 3)), fmt.Sprintf(`200
{"success": true, "record_count": 12000, "events": {"existing": %d}}`, stored))
}

// NOSPACE is seen by the append that it hits, and reported at once to all later uploads.
func TestFullEtcdIsReportedEverywhere(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Thresholds: Thresholds{SoftSize: 1000, HardSize: 1000, HardFile: 1000}}, log, log)
	full := capacityOf(110, 110)
	full.NoSpace = true
	log.Fail(func(string) error {
		log.SetCapacity(full, nil)
		return fmt.Errorf("%w: it said so", eventlog.ErrNoSpace)
	}, nil)
	want := `503
Retry-After: 60
{"success": false, "code": "log_full", "error": "/compact.*defragment every member.*disarm.*etcd-full.md/"}`
	compareResponse(t, "the one it hits", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), want)
	waitFor(t, "noticed", func() bool { return s.admission.admitUpload() != nil })
	log.Fail(nil, nil) // an upload that reads the log now would be taken in
	compareResponse(t, "the next one", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), want)
	if err := s.Ready(); err != nil {
		t.Errorf("a full etcd makes the server not ready, so that clients get no reason: %v", err)
	}
	setCapacity(s, log, capacityOf(20, 30), nil)
	compareResponse(t, "after it was freed", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `200
{"success": true, "accepted": 10}`)
}

// An unknown capacity of etcd changes no decision by itself: it is reported, and the last capacity stands.
func TestEtcdWithoutReportedCapacity(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	dead := errors.New("nobody there")
	setCapacity(s, log, eventlog.Capacity{}, dead)
	compareResponse(t, "status", getPath(t, s, "/api/v1/status"), `200
{"admission": {"verdict": "open", "trouble": "nobody there"}}`)
	compareResponse(t, "upload", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `200
{"success": true}`)
	setCapacity(s, log, capacityOf(90, 90), nil)
	setCapacity(s, log, eventlog.Capacity{}, dead)
	compareResponse(t, "after it was full", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `503
{"code": "log_nearly_full"}`)
	if got := metricValue(t, s, "ingest_admission_blind"); got != 1 {
		t.Errorf("blind is %v, want 1", got)
	}
}

// While no collector folds, uploads are refused once the appended events are old, and taken again when they are
// folded.
func TestUploadsAreRefusedWhileTheCollectorsAreBehind(t *testing.T) {
	log := pipelinetest.NewRecorder()
	log.SetStalled(true)
	s := startServer(t, Config{Thresholds: Thresholds{SoftLag: time.Millisecond, HardLag: 50 * time.Millisecond}}, log, log)
	if got := getPath(t, s, "/api/v1/status"); !strings.Contains(got.body, `"verdict":"open"`) {
		t.Fatalf("refused before anything was appended: %s", got.body)
	}
	compareResponse(t, "the first", postFile(t, s, "", pipelinetest.DCGMFile(10, 2)), `200
{"success": true}`)
	waitFor(t, "refused", func() bool { s.admission.refreshNow.Set(); return s.admission.admitUpload() != nil })
	compareResponse(t, "the second", postFile(t, s, "", pipelinetest.DCGMFile(20, 2)), `503
Retry-After: 30
{"success": false, "code": "collectors_behind", "error": "/collectd/"}`)
	log.SetStalled(false)
	waitFor(t, "taken again", func() bool { s.admission.refreshNow.Set(); return s.admission.admitUpload() == nil })
	compareResponse(t, "the third", postFile(t, s, "", pipelinetest.DCGMFile(20, 2)), `200
{"success": true}`)
}

func TestTooManyRecordsAreAnswered429(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Thresholds: Thresholds{HardRate: 1}}, log, log)
	waitFor(t, "refused", func() bool {
		s.admission.refreshNow.Set()
		r := postFile(t, s, "", pipelinetest.DCGMFile(2000, 2))
		return r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") == "2" && strings.Contains(r.body, `"too_many_records"`)
	})
}

// As the size goes from the soft to the hard threshold the rate goes down to a half. On the bubble's clock only the
// log takes time, so the rate is known exactly except for the records that an upload holds when a pause begins.
func TestRateHalvesFromTheSoftToTheHardThreshold(t *testing.T) {
	file := pipelinetest.DCGMFile(30_000, 5)
	took := func(inUse int64) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			log := pipelinetest.NewRecorder()
			s, err := New(Config{MaxMemory: 8 << 20}, slowLog{log, 100 * time.Millisecond}, log, nil)
			if err != nil {
				t.Fatal(err)
			}
			setCapacity(s, log, capacityOf(inUse, inUse), nil)
			p, err := pipeline.ParseParameters(nil, "UTC", time.Now().AddDate(50, 0, 0))
			if err != nil {
				t.Fatal(err)
			}
			b := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
			began := time.Now()
			if _, err := s.runner.ProcessFile(t.Context(), intake.NewFile("", bytes.NewReader(file), b.StopReading), p, answer.NewReceipt()); err != nil {
				t.Fatal(err)
			}
			d = time.Since(began)
		})
		return d
	}
	full := took(50)
	for _, c := range []struct {
		inUse int64
		want  float64
	}{{60, 1}, {70, 4. / 3}, {79, 1 / 0.525}} {
		got := took(c.inUse).Seconds() / full.Seconds()
		if got < c.want*0.8 || got > c.want*1.2 {
			t.Errorf("with %d %% in use an upload takes %.2f times as long (of %s), want about %.2f", c.inUse, got, full, c.want)
		}
	}
}

// slowLog is a log that takes a fixed time for each event of an append.
type slowLog struct {
	*pipelinetest.Recorder
	each time.Duration
}

func (u slowLog) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	time.Sleep(u.each * time.Duration(len(evs)))
	return u.Recorder.Append(ctx, evs)
}

// A log that accepts nothing makes the uploads wait, and the memory does not grow: the server reads as much of files
// without an end as fits and no more, and ten times as many uploads do not change that.
func TestSlowEtcdNeverGrowsTheMemory(t *testing.T) {
	const most, waiting = 16 << 20, 4 << 20 // and the records that wait to be cut, which come on top
	block := pipelinetest.DCGMFile(20_000, 2)
	held := func(uploads int) (heap int64, read int64) {
		synctest.Test(t, func(t *testing.T) {
			log := pipelinetest.NewRecorderOf(events.CutRules{}) // with two hosts few records wait to be cut
			release := log.HoldAppends()
			s, err := New(Config{MaxMemory: most, Uploads: 4, Workers: 2, QueueTimeout: time.Hour, AppendTimeout: 2 * time.Hour}, log, log, nil)
			if err != nil {
				t.Fatal(err)
			}
			p, err := pipeline.ParseParameters(nil, "UTC", time.Now().AddDate(50, 0, 0))
			if err != nil {
				t.Fatal(err)
			}
			before := liveHeap()
			ctx, cancel := context.WithCancelCause(context.Background())
			var consumed atomic.Int64
			var all sync.WaitGroup
			for range uploads {
				all.Go(func() {
					leave, err := s.slots.acquireSlot(t.Context(), "", 1)
					if err != nil {
						return // its hour is over
					}
					defer leave()
					b := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
					text := countedReader{&pipelinetest.EndlessFile{Block: block, Left: 1 << 60}, &consumed}
					_, _ = s.runner.ProcessFile(ctx, intake.NewFile("", text, b.StopReading), p, answer.NewReceipt())
				})
			}
			synctest.Wait() // no goroutine reads on: that alone shows that there is a bound
			heap, read = liveHeap()-before, consumed.Load()
			cancel(errors.New("enough"))
			_ = s.slots.closeSlots()
			release()
			all.Wait()
		})
		return heap, read
	}
	heap, read := held(4)
	t.Logf("4 uploads read %.1f MiB and hold %.1f MiB", float64(read)/(1<<20), float64(heap)/(1<<20))
	if heap > most+waiting {
		t.Errorf("4 uploads hold %d bytes, more than the %d they may", heap, most+waiting)
	}
	more, readMore := held(40)
	t.Logf("40 uploads read %.1f MiB and hold %.1f MiB", float64(readMore)/(1<<20), float64(more)/(1<<20))
	if more > most+waiting {
		t.Errorf("40 uploads hold %d bytes, more than the %d they may", more, most+waiting)
	}
}

// countedReader counts the bytes read.
type countedReader struct {
	io.Reader
	n *atomic.Int64
}

func (c countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAdmissionLogsEachChangeOnce(t *testing.T) {
	var out lockedBuffer
	log := pipelinetest.NewRecorder()
	s := startLogged(t, Config{}, log, log, slog.New(slog.NewTextHandler(&out, nil)))
	for range 3 {
		setCapacity(s, log, capacityOf(90, 90), nil)
	}
	for range 3 {
		setCapacity(s, log, capacityOf(10, 90), nil)
	}
	for _, want := range []string{`msg="uploads are refused"`, `msg="uploads are accepted without limits again"`} {
		if n := strings.Count(out.String(), want); n != 1 {
			t.Errorf("%q is logged %d times, want once:\n%s", want, n, &out)
		}
	}
}
