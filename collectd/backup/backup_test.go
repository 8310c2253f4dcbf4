package backup_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"

	"telemetry-pipeline/collectd/backup"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestSnapshotsAreWholeAndAsManyAsAreKept(t *testing.T) {
	root := eventstest.NewServer(t, nil).Config(t)
	dir := t.TempDir()
	old := []string{"snapshot-20250101T000000Z.db", "snapshot-20250102T000000Z.db", "snapshot-20250103T000000Z.db", "other.db", "snapshot.partial"}
	for _, name := range old {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := backup.Run(t.Context(), backup.Config{Dir: dir, Keep: 2}, root, &out, nil); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 || filepath.Base(left[0]) != "other.db" || filepath.Base(left[1]) != "snapshot-20250103T000000Z.db" {
		t.Fatalf("left are %v", left)
	}
	if status, err := snapshot.NewV3(zap.NewNop()).Status(left[2]); err != nil || status.TotalSize == 0 {
		t.Errorf("etcd's tool reads the snapshot as %+v, %v", status, err)
	}
	if !strings.Contains(out.String(), left[2]) || strings.Count(out.String(), "removed") != 2 {
		t.Errorf("output:\n%s", out.String())
	}
}

func TestListingSaysWhichSnapshotsAreWhole(t *testing.T) {
	dir := t.TempDir()
	if err := backup.Run(t.Context(), backup.Config{Dir: dir, Keep: 1, List: true}, eventlog.Config{}, &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), "no snapshot") {
		t.Errorf("an empty directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "snapshot-20250101T000000Z.db"), make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	var saved, listed bytes.Buffer
	if err := backup.Run(t.Context(), backup.Config{Dir: dir, Keep: 9}, eventstest.NewServer(t, nil).Config(t), &saved, nil); err != nil {
		t.Fatal(err)
	}
	if err := backup.Run(t.Context(), backup.Config{Dir: dir, Keep: 1, List: true}, eventlog.Config{}, &listed, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(listed.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "20250101T000000Z.db: 512 bytes, it has 512 bytes, which no whole snapshot has") || lines[1] != strings.TrimSpace(saved.String())+", whole" {
		t.Errorf("listed:\n%ssaved:\n%s", listed.String(), saved.String())
	}
}

func TestSnapshotsThatFailLeaveTheOlderOnes(t *testing.T) {
	root := eventstest.NewServer(t, nil).Config(t)
	missing := filepath.Join(t.TempDir(), "missing")
	if err := backup.Run(t.Context(), backup.Config{Dir: missing, Keep: 1}, root, &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("a directory that is not there: %v", err)
	}
	for _, cfg := range []backup.Config{{Keep: 1}, {Dir: missing}} {
		if err := backup.Run(t.Context(), cfg, root, &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), "flag ") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
