package program

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// A directory of an earlier model version is usable while the generation of this one is built: uploads are accepted, and
// queries are refused with the reason.
func TestUploadsAreAcceptedWhileAGenerationIsBuilt(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	unpackDirectory(t, filepath.Join(upgradeDir, "ee81636", upgradeData), data)
	addMembers(t, data)
	s := startStack(t, data, keepAsItIs)
	const want = "models of version 1, and this program serves version 2"
	if status, text := s.fetch("/ready"); status != http.StatusServiceUnavailable || !strings.Contains(string(text), want) {
		t.Errorf("readiness: %d %s, want 503 and %q", status, text, want)
	}
	if status, text := s.fetch("/api/v1/gpus"); status != http.StatusServiceUnavailable {
		t.Errorf("GPUs: %d %s, want 503", status, text)
	}
	if status, r := s.upload("minutes.csv", minutes(500, 501), ""); status != http.StatusOK || r.Accepted != 12 {
		t.Errorf("uploading: %d %+v, want 12 records accepted", status, r)
	}

	if _, err := s.etcd().Delete(t.Context(), s.settings.store.Prefix("members")+"gone-", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	s.await("readiness", func(*clientv3.Client) bool { status, _ := s.fetch("/ready"); return status == http.StatusOK })
	for _, want := range []string{"/api/v1/hosts/rack7_node02", "/api/v1/gpus/GPU-f1ee0000-0000-0000-0000-000000000003"} {
		if status, text := s.fetch(want); status != http.StatusOK {
			t.Errorf("%s: %d %s", want, status, text)
		}
	}
	s.await("upload in the view", func(*clientv3.Client) bool {
		_, text := s.fetch("/api/v1/gpus/GPU-f1ee0000-0000-0000-0000-000000000003")
		return strings.Contains(string(text), "2025-07-19T03:20:00Z")
	})
}

// addMembers adds collectors of this model version that never claim their partitions, so that no generation is complete.
func addMembers(t *testing.T, data string) {
	t.Helper()
	server, err := openEtcd(t.Context(), data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg := eventlog.Config{Endpoints: server.endpoint}
	client, err := cfg.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	var puts []clientv3.Op
	for i := range 64 { // of which this process ranks first for all partitions once in millions of runs
		puts = append(puts, clientv3.OpPut(fmt.Sprintf("%sgone-%d", cfg.Prefix("members"), i), `{"host":"gone","model_version":"`+strconv.Itoa(snapshot.ModelVersion)+`"}`))
	}
	if _, err := client.Txn(t.Context()).Then(puts...).Commit(); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := server.close(); err != nil {
		t.Fatal(err)
	}
}
