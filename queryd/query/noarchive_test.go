package query

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// TestHistoryIsNotCutShortWithoutTheArchive starts a server without the archive of the collectors: it reports an
// error instead of leaving out readings, and answers from etcd as before.
func TestHistoryIsNotCutShortWithoutTheArchive(t *testing.T) {
	c := newCluster(t)
	old := events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	const metric = "DCGM_FI_DEV_GPU_UTIL"
	c.upload("a", "GPU-a", old, metric, 1)
	rev := c.upload("a", "GPU-a", old+events.Timestamp(5*time.Hour), metric, 2)
	p := events.PartitionOf("a", c.log.Facts().Partitions)
	files, err := archive.Open(t.Context(), (&url.URL{Scheme: "file", Path: filepath.ToSlash(t.TempDir())}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	e, err := files.Write(t.Context(), archive.Range{Partition: p, Upto: rev}, c.log.Read(t.Context(), p, events.Revision{}, rev))
	if err != nil {
		t.Fatal(err)
	}
	m := manifest.New(eventstest.Etcd(t), c.cfg, c.log.Facts())
	if err := m.Add(t.Context(), &manifest.Partition{ID: p}, e, c.guard); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort}, c.store, c.log, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.RefuseArchived(c.store, m)
	base, stop := startServer(t, s)
	defer stop()
	ask := func(query string, want int) {
		t.Helper()
		var got struct {
			Count int
			Error string
		}
		status := getJSON(t, base+query, &got)
		if reported := strings.Contains(got.Error, "ARCHIVE_URL"); want < 0 && (status != 503 || !reported) || want >= 0 && (status != 200 || got.Count != want) {
			t.Errorf("%s: %d %+v, want %d entries, or an error that names the missing archive if that is below 0", query, status, got, want)
		}
	}
	const newer = "start_time=2025-07-19T00:00:00Z"
	ask("/api/v1/telemetry", 2) // archived, and still in etcd too
	c.commitPartition(p, snapshot.Commit{Offsets: &projections.Offsets{Live: rev, Series: rev, HotFrom: projections.WindowOf(old) + 1}})
	ask("/api/v1/telemetry?limit=1", -1) // looks for whether there is another page
	ask("/api/v1/telemetry?"+newer, 1)
	ask("/api/v1/telemetry?step=1h&"+newer, 1)
	for _, query := range []string{
		"/api/v1/telemetry", "/api/v1/telemetry?step=1h", "/api/v1/telemetry?format=csv", "/api/v1/gpus/GPU-a/telemetry",
		"/api/v1/gpus?as_of=2025-07-18T22:00:00Z",
	} {
		ask(query, -1)
	}
	ask("/api/v1/gpus", 1)
}
