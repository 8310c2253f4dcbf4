package deploy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestClustersOnOneEtcdDoNotDisturbEachOther runs two pipelines of different cluster ids on one etcd, which get different files about
// the same hosts, and one queryd over both. A standalone beside them gets the first file alone.
func TestClustersOnOneEtcdDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 14)
	loopback := func(i int) string { return "http://127.0.0.1:" + port[i] }
	admin := func(i int) []string { return []string{"ADMIN_HOST=127.0.0.1", "ADMIN_PORT=" + port[i]} }
	launchEtcd(t, loopback(0), loopback(1))
	collectors := map[string]*process{}
	for i, id := range []string{"red", "blue"} {
		env := []string{"ETCD_ENDPOINTS=" + loopback(0), "CLUSTER_ID=" + id}
		collectors[id] = launch(t, "collectd-"+id, "collectd", append(admin(2+i), append(env, "PARTITION_DATA_DIR="+t.TempDir())...))
		launch(t, "ingestd-"+id, "ingestd", append(admin(4+i), append(env, "HTTP_PORT="+port[6+i], "HTTP_HOST=127.0.0.1", "UPLOAD_DIR="+t.TempDir())...))
	}
	launch(t, "standalone", "standalone", append(admin(8), "HTTP_PORT="+port[9], "HTTP_HOST=127.0.0.1", "PORT="+port[10], "QUERY_HOST=127.0.0.1", "DATA_DIR="+t.TempDir()))
	for _, i := range []int{2, 3, 4, 5, 8} {
		isReady(t, loopback(i))
	}
	file := filepath.Join(t.TempDir(), "cells")
	lines := fmt.Sprintf("# the clusters of the test\n{\"cluster_id\":\"red\",\"endpoints\":%q}\n{\"name\":\"blue\",\"cluster_id\":\"blue\",\"endpoints\":%[1]q}\n", loopback(0))
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, "queryd", "queryd", append(admin(11), "QUERY_CELLS="+file, "PORT="+port[12], "QUERY_HOST=127.0.0.1"))
	isReady(t, loopback(11))

	first, second := fleetFile(60, 34), fleetFile(40, 39)
	red, blue, alone := upload(t, loopback(6), first), upload(t, loopback(7), second), upload(t, loopback(9), first)
	want := dataOf(t, loopback(10), alone)
	if got := clusterData(t, loopback(12), "red", red); got != want {
		t.Errorf("red and a standalone with the same file differ:\n%.300s\n%.300s", got, want)
	}
	if got := clusterData(t, loopback(12), "blue", blue); strings.Contains(got, "host-040") || !strings.Contains(got, "host-039") {
		t.Errorf("blue has hosts of red, or lacks its own:\n%.300s", got)
	}
	collectors["blue"].stop(syscall.SIGTERM) // red goes on
	red = upload(t, loopback(6), second)
	_ = clusterData(t, loopback(12), "red", red)
	var hosts struct{ Count int }
	_, text := get(loopback(12) + "/api/v1/hosts?wait=" + url.QueryEscape(red))
	if err := json.Unmarshal([]byte(text), &hosts); err != nil || hosts.Count != 100 {
		t.Errorf("hosts of both: got %.300s, want 100", text)
	}
}

// clusterData is dataOf for one of several clusters, without its name.
func clusterData(t *testing.T, base, cluster, revision string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/api/v1/gpus?", "/api/v1/hosts?", "/api/v1/telemetry?limit=10000&"} {
		status, text := get(base + path + "cluster=" + cluster + "&wait=" + url.QueryEscape(revision))
		var envelope struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(text), &envelope); err != nil || status != http.StatusOK {
			t.Fatalf("GET %s: %d %.300s", path, status, text)
		}
		all.Write(envelope.Data)
	}
	return strings.ReplaceAll(all.String(), fmt.Sprintf(`"cluster":%q,`, cluster), "")
}
