package program

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/listen/listentest"
	"telemetry-pipeline/queryd/query"
)

func TestCellsFile(t *testing.T) {
	t.Parallel()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := eventlog.Config{Root: "/telemetry", ClusterID: "default-cluster", CertFile: "c.crt", KeyFile: "c.key", CAFile: "ca.crt"}
	sources, err := parseCells([]byte(`
# comment
{"name":"east","endpoints":"https://a:2379"}
{"cluster_id":"west","endpoints":"https://b:2379,https://c:2379","archive":"s3://west","username":"u","password_file":"`+password+`"}
`), flags)
	if err != nil || len(sources) != 2 || sources[0].Name != "east" || sources[1].Name != "west" {
		t.Fatalf("got %+v, %v", sources, err)
	}
	entry, err := parseCell([]byte(`{"cluster_id":"west","endpoints":"https://b:2379","username":"u","password_file":"` + password + `","cert":"w.crt","key":"w.key"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := entry.storeConfig(flags)
	want := eventlog.Config{Root: "/telemetry", ClusterID: "west", Endpoints: "https://b:2379", CertFile: "w.crt", KeyFile: "w.key", CAFile: "ca.crt", Username: "u", Password: "secret"}
	if err != nil || got.Endpoints != want.Endpoints || got.ClusterID != want.ClusterID || got.Root != want.Root || got.CertFile != want.CertFile || got.KeyFile != want.KeyFile ||
		got.CAFile != want.CAFile || got.Username != want.Username || got.Password != want.Password {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestBadCellsFiles(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 65 {
		many.WriteString(`{"name":"c` + strings.Repeat("x", i%50) + string(rune('a'+i/50)) + `","endpoints":"http://h` + strings.Repeat("x", i%50) + string(rune('a'+i/50)) + `"}` + "\n")
	}
	for text, want := range map[string]string{
		"":                                "names no cluster",
		"# nothing":                       "names no cluster",
		`{"name":"a"}`:                    "endpoints is missing",
		`{"endpoints":"http://a"}`:        "name is missing",
		`{"name":"a b","endpoints":"x"}`:  "no name of a cluster",
		`{"name":"a","endpoint":"x"}`:     "unknown field",
		`[]`:                              "line 1: it is no cluster",
		`{"name":"a","endpoints":"x"} {}`: "something follows",
		"{\"name\":\"a\",\"endpoints\":\"x\"}\n\n{\"name\":\"a\",\"endpoints\":\"y\"}": "line 3: line 1 has the name a too",
		"{\"name\":\"a\",\"endpoints\":\"x\"}\n{\"name\":\"b\",\"endpoints\":\"x\"}":   "same cluster",
		`{"name":"a","endpoints":"x","password_file":"/none"}`:                         "password_file",
		many.String(): "at most 64 clusters",
	} {
		if _, err := parseCells([]byte(text), eventlog.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got %v, want an error with %q", text, err, want)
		}
	}
	missing := cellsFile{path: filepath.Join(t.TempDir(), "none")}
	if _, err := missing.read(eventlog.Config{}); err == nil || !strings.Contains(err.Error(), "flag query.cells") {
		t.Errorf("a missing file: got %v", err)
	}
}

// TestCertificatesOfEachCluster: the time that is left to a certificate towards etcd is reported by cluster, of clusters that are away too.
func TestCertificatesOfEachCluster(t *testing.T) {
	t.Parallel()
	ca := listentest.NewCA(t)
	cert, key := ca.Client(t, t.TempDir(), "queryd")
	sources, err := parseCells(fmt.Appendf(nil, "{\"name\":\"east\",\"endpoints\":\"https://localhost:1\"}\n{\"name\":\"west\",\"endpoints\":\"https://localhost:2\",\"cert\":%q,\"key\":%q}", cert, key),
		eventlog.Config{Root: "/telemetry", ClusterID: "default-cluster", CAFile: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := query.NewGateway(query.Config{Host: "127.0.0.1", Port: query.FreePort}, sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	if err := gateway.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "etcd_certificate_expiry_seconds" })
	if i < 0 || len(families[i].GetMetric()) != 3 {
		t.Errorf("got %v, want the authority of east and both certificates of west", families)
	}
}
