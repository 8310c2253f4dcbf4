package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// background is ingestd's answer about an upload with async=true.
type background struct {
	State    string
	Rows     int64
	Attempts int
	Error    string
	Receipt  struct{ Accepted, Duplicate, Rejected int }
}

func backgroundState(t *testing.T, address string) (u background) {
	t.Helper()
	status, text := get(address)
	var answer struct{ Data *background }
	answer.Data = &u
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		t.Fatalf("GET %s: %d %.300s (%v)", address, status, text, err)
	}
	return u
}

// countRecords reads the whole log.
func countRecords(t *testing.T, store eventlog.Config) (records int) {
	t.Helper()
	log := eventstest.OpenLog(t, store)
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range log.Facts().Partitions {
		for e, err := range log.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err != nil || e.Damage != nil {
				t.Fatalf("reading the log: %v, %v", err, e.Damage)
			}
			records += e.Records()
		}
	}
	return records
}

// longFile has a row for each hundredth of a second, from ten hosts in turn.
func longFile(rows int) []byte {
	var b bytes.Buffer
	b.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	began := time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC)
	for i := range rows {
		fmt.Fprintf(&b, "%s,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-%d,H100,host-%d,,,,%d,\n",
			began.Add(time.Duration(i)*10*time.Millisecond).Format(time.RFC3339Nano), i%10, i%10, i%101)
	}
	return b.Bytes()
}

// An upload that was answered 202 is finished by the next process after any death of the one before, and nothing of it
// is there twice. etcd goes away first, so that the kill comes in the middle on any machine.
func TestIngestdThatWasKilledFinishesItsUploadsAfterwards(t *testing.T) {
	t.Parallel()
	server := eventstest.NewServer(t, nil)
	store := server.Config(t)
	port, dir := freePorts(t, 2), t.TempDir()
	base := "http://127.0.0.1:" + port[0]
	start := func() *process {
		p := launch(t, "ingestd", "ingestd", []string{"ETCD_ENDPOINTS=" + server.Endpoint(), "ETCD_ROOT=" + store.Root,
			"HTTP_HOST=127.0.0.1", "HTTP_PORT=" + port[0], "ADMIN_HOST=127.0.0.1", "ADMIN_PORT=" + port[1], "UPLOAD_DIR=" + dir})
		isReady(t, "http://127.0.0.1:"+port[1])
		return p
	}
	const rows = 300_000
	file := longFile(rows)

	first := start()
	resp, err := http.Post(base+"/api/v1/csv/upload?async=true", "text/csv", bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	address := base + resp.Header.Get("Location")
	if resp.StatusCode != http.StatusAccepted || address == base {
		t.Fatalf("async upload is answered %d, at %q", resp.StatusCode, address)
	}
	eventually(t, "some of it is in the log", func() (bool, string) {
		return backgroundState(t, address).Rows > rows/5, ""
	})
	server.Stop()
	if u := backgroundState(t, address); u.State == "done" || u.State == "failed" {
		t.Fatalf("the upload ended before the kill: %+v", u)
	}
	first.stop(syscall.SIGKILL)
	server.Start(t)
	if n := countRecords(t, store); n == rows {
		t.Fatalf("all %d records were in the log before the kill", n)
	} else {
		t.Logf("killed with %d of %d records in the log", n, rows)
	}

	start()
	var u background
	eventually(t, "the upload is finished", func() (bool, string) {
		u = backgroundState(t, address)
		return u.State == "done" || u.State == "failed", u.State
	})
	if r := u.Receipt; u.State != "done" || u.Attempts < 2 || r.Accepted+r.Duplicate != rows || r.Rejected != 0 {
		t.Errorf("it ended as %+v, want %d records", u, rows)
	}
	if n := countRecords(t, store); n != rows {
		t.Errorf("the log has %d records, want %d", n, rows)
	}
	eventually(t, "the upload directory is empty", func() (bool, string) {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0, ""
	})
}
