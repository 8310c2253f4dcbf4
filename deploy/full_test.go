package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/events/trace/otlp"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// pipeline is the three daemons' parts in this process, on a test's etcd.
type pipeline struct {
	t      *testing.T
	store  eventlog.Config
	traces tracetest.InMemoryExporter // of the parts' spans; traces that begin in them are not sampled
}

// tracer returns the tracer of a daemon.
func (p *pipeline) tracer(daemon string) *trace.Tracer {
	p.t.Helper()
	provider, err := otlp.NewRecording(p.t.Context(), otlp.Config{}, otlp.Service{Name: daemon}, &p.traces)
	if err != nil {
		p.t.Fatal(err)
	}
	return provider.Tracer()
}

func (p *pipeline) log() *eventlog.Log { return eventstest.OpenLog(p.t, p.store) }

func (p *pipeline) client() *clientv3.Client {
	p.t.Helper()
	client, err := p.store.Dial(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { client.Close() })
	return client
}

// run runs a part until the test ends.
func (p *pipeline) run(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("%s: %v", name, err)
		}
	})
}

func (p *pipeline) ingest(marks ingest.Thresholds) string {
	log := p.log()
	s, err := ingest.New(ingest.Config{Host: "127.0.0.1", Port: ingest.FreePort, Thresholds: marks, Spool: spool.Config{Dir: p.t.TempDir()}, Tracer: p.tracer("ingestd")}, log, snapshot.New(p.client(), p.store, log.Facts(), nil), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.run("ingest", s.Run)
	return p.address(s.Addr)
}

func (p *pipeline) query() (string, *query.Server) {
	log := p.log()
	s, err := query.New(query.Config{Host: "127.0.0.1", Port: query.FreePort, Tracer: p.tracer("queryd")}, snapshot.New(p.client(), p.store, log.Facts(), nil), log, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.run("query", s.Run)
	return p.address(s.Addr), s
}

func (p *pipeline) collect() *collect.Collector {
	cfg := collect.Config{Sharing: partition.Config{DataDir: p.t.TempDir(), JoinDebounce: 50 * time.Millisecond}, Tracer: p.tracer("collectd")}
	c, err := collect.Open(cfg, p.store, p.log(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	p.run("collect", c.Run)
	return c
}

// address waits until a server listens and returns its URL.
func (p *pipeline) address(of func() net.Addr) string {
	p.t.Helper()
	eventually(p.t, "listening", func() (bool, string) { return of() != nil, "" })
	return "http://" + of().String()
}

const readingsOfFile = 40

// readingsFile is an export of its own: no two of them share a reading.
func readingsFile(number int) []byte {
	var b bytes.Buffer
	b.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	start := time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC).Add(time.Duration(number) * time.Minute)
	for i := range readingsOfFile {
		fmt.Fprintf(&b, "%s,DCGM_FI_DEV_GPU_UTIL,0,nvidia0,GPU-%d,H100,host-%d,,,,%d,\n",
			start.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i%4, i%4, (number*7+i)%101)
	}
	return b.Bytes()
}

func send(t *testing.T, base, query string, file []byte) (status int, answer string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "f.csv")
	if err == nil {
		_, err = part.Write(file)
	}
	if err = errors.Join(err, form.Close()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/v1/csv/upload"+query, form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// countHistory pages through all history and returns the number of its entries.
func countHistory(t *testing.T, base string) (n int) {
	t.Helper()
	for cursor, first := "", true; first || cursor != ""; first = false {
		status, text := get(base + "/api/v1/telemetry?limit=1000&cursor=" + url.QueryEscape(cursor))
		var page struct {
			Count      int
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("history: %d %.300s (%v)", status, text, err)
		}
		n, cursor = n+page.Count, page.NextCursor
	}
	return n
}

// Etcd at its quota: with nothing to slow uploads down before, they are refused with the steps that the operator must
// do, queries are answered, collectors wait and say why. Then the operator does it, touching no daemon, and
// everything continues by itself with nothing lost.
func TestFullEtcdRefusesUploadsAnswersQueriesAndGoesOnByItself(t *testing.T) {
	t.Parallel()
	server := eventstest.NewServer(t, func(cfg *embed.Config) { cfg.QuotaBackendBytes = 8 << 20 })
	p := &pipeline{t: t, store: server.Config(t)}
	p.store.Partitions = 4
	uploads := p.ingest(ingest.Thresholds{SoftSize: 1e6, HardSize: 1e6, HardFile: 1e6})
	folding := p.collect()
	queries, _ := p.query()

	if status, text := send(t, uploads, "?wait=true", readingsFile(0)); status != http.StatusOK {
		t.Fatalf("first upload: %d %s", status, text)
	}
	acknowledged := fillUp(t, server.Client(t), uploads)
	if status, text := send(t, uploads, "", readingsFile(acknowledged)); status != http.StatusServiceUnavailable {
		t.Errorf("upload to a full etcd: %d %s", status, text)
	}
	eventually(t, "the collector says that it waits for space", func() (bool, string) {
		err := folding.Ready()
		return errors.Is(err, eventlog.ErrNoSpace), fmt.Sprint(err)
	})
	newcomer := p.collect()
	eventually(t, "a collector that starts now says why it cannot join", func() (bool, string) {
		err := newcomer.Ready()
		return err != nil && strings.Contains(err.Error(), "space"), fmt.Sprint(err)
	})
	fresh, serving := p.query()
	eventually(t, "a query server that starts now is ready", func() (bool, string) {
		err := serving.Ready()
		return err == nil, fmt.Sprint(err)
	})
	for _, base := range []string{queries, fresh} {
		for _, path := range []string{"/api/v1/hosts/host-1", "/api/v1/telemetry/latest", "/api/v1/telemetry?host_id=host-1"} {
			if status, text := get(base + path); status != http.StatusOK || !strings.Contains(text, "host-1") {
				t.Errorf("GET %s while etcd is full: %d %.300s", path, status, text)
			}
		}
	}

	makeRoom(t, server)
	eventually(t, "uploads are taken again", func() (bool, string) {
		status, text := send(t, uploads, "?wait=true", readingsFile(acknowledged))
		return status == http.StatusOK, text
	})
	for _, c := range []*collect.Collector{folding, newcomer} {
		eventually(t, "collectors are ready again", func() (bool, string) {
			err := c.Ready()
			return err == nil, fmt.Sprint(err)
		})
	}
	want := (acknowledged + 1) * readingsOfFile
	for _, base := range []string{queries, fresh} {
		eventually(t, "everything acknowledged is there, once", func() (bool, string) {
			got := countHistory(t, base)
			return got == want, fmt.Sprintf("%d of %d readings", got, want)
		})
	}
}

// fillUp uploads while something else fills etcd with versions of one key, until an upload is refused. It
// returns the number of the first file that was not acknowledged.
func fillUp(t *testing.T, client *clientv3.Client, uploads string) (refused int) {
	t.Helper()
	filler := strings.Repeat("x", 128<<10)
	for n := 1; n < 1000; n++ {
		_, _ = client.Put(t.Context(), "/filler", filler) // the first refusal may be this one's: uploads go on to theirs
		status, text := send(t, uploads, "", readingsFile(n))
		if status == http.StatusOK {
			continue
		}
		for _, want := range []string{`"log_full"`, "NOSPACE", "compact", "defragment every member", "disarm", "docs/runbooks/etcd-full.md"} {
			if status != http.StatusServiceUnavailable || !strings.Contains(text, want) {
				t.Fatalf("upload %d to a full etcd: %d %s; want 503 that says %q", n, status, text, want)
			}
		}
		return n
	}
	t.Fatal("etcd did not get full")
	return 0
}

// makeRoom follows the runbook.
func makeRoom(t *testing.T, server *eventstest.Server) {
	t.Helper()
	client := server.Client(t)
	server.Compact(t)
	if _, err := client.Defragment(t.Context(), server.Endpoint()); err != nil {
		t.Fatalf("defragmenting: %v", err)
	}
	if _, err := client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{}); err != nil {
		t.Fatalf("disarming: %v", err)
	}
}
