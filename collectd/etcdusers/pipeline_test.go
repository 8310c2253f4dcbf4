package etcdusers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// run runs a part until the test ends.
func (s *secureEtcd) run(part func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- part(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("a part ended with %v", err)
		}
	})
}

// startCollector starts a collector as a user.
func (s *secureEtcd) startCollector(user string, lg *slog.Logger) *collect.Collector {
	cfg := s.as(user)
	c, err := collect.Open(collect.Config{}, cfg, eventstest.OpenLog(s.t, cfg), lg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	s.run(c.Run)
	return c
}

// startIntake starts an upload server as user ingestd.
func (s *secureEtcd) startIntake() *ingest.Server {
	cfg := s.as("ingestd")
	reads, log := s.dial(cfg), eventstest.OpenLog(s.t, cfg)
	settings := ingest.Config{Host: "127.0.0.1", Port: ingest.FreePort, Spool: spool.Config{Dir: s.t.TempDir()}, States: uploads.New(reads, cfg, nil)}
	srv, err := ingest.New(settings, log, snapshot.New(reads, cfg, log.Facts(), nil), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(srv.Run)
	return srv
}

// startQueries starts a query server as user queryd.
func (s *secureEtcd) startQueries() *query.Server {
	cfg := s.as("queryd")
	log := eventstest.OpenLog(s.t, cfg)
	srv, err := query.New(query.Config{Host: "127.0.0.1", Port: query.FreePort}, snapshot.New(s.dial(cfg), cfg, log.Facts(), nil), log, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(srv.Run)
	return srv
}

func awaitReady(t *testing.T, what string, ready func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

const exported = `timestamp,metric_name,gpu_id,uuid,Hostname,value
2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,0,GPU-a,n1,41
`

// uploadFile uploads a file and returns its revision.
func uploadFile(t *testing.T, base string) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "export.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(part, exported); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/v1/csv/upload?wait=true", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var receipt struct {
		Accepted        int
		Revision, Error string
	}
	if err := json.NewDecoder(resp.Body).Decode(&receipt); err != nil || resp.StatusCode != http.StatusOK || receipt.Accepted != 1 {
		t.Fatalf("upload: got %d, %+v, %v", resp.StatusCode, receipt, err)
	}
	return receipt.Revision
}

// TestPipelineWithItsCertificates uploads a file and reads it back while authentication is enabled, then checks that each user
// has its own rights only.
func TestPipelineWithItsCertificates(t *testing.T) {
	t.Parallel()
	s := newSecureEtcd(t, true)
	access(t, s.as("root"), "-enable")
	s.startCollector("collectd", nil)
	intake, queries := s.startIntake(), s.startQueries()
	awaitReady(t, "ingestd", intake.Ready)
	awaitReady(t, "queryd", queries.Ready)
	revision := uploadFile(t, "http://"+intake.Addr().String())
	base := "http://" + queries.Addr().String()
	for _, c := range []struct{ method, path, want string }{
		{http.MethodGet, "/api/v1/gpus?wait=" + url.QueryEscape(revision), `"GPU-a"`},
		{http.MethodGet, "/api/v1/telemetry", `"DCGM_FI_DEV_GPU_TEMP":41`},
		{http.MethodGet, "/api/v1/quarantine", `"success":true`},
		{http.MethodPost, "/api/v1/quarantine/retry", `"asked":0`},
	} {
		if text := s.request(c.method, base+c.path); !bytes.Contains(text, []byte(c.want)) {
			t.Errorf("%s %s: got %s, want %s in it", c.method, c.path, text, c.want)
		}
	}
	s.checkRetry(base)
	s.checkRights()
}

// checkRetry requests the retry of a quarantined event, with and without the right to.
func (s *secureEtcd) checkRetry(base string) {
	s.t.Helper()
	if _, err := s.dial(s.as("ingestd")).Put(s.t.Context(), s.cfg.Prefix("queue", "001")+"nonsense", "\x07garbage"); err != nil {
		s.t.Fatal(err)
	}
	awaitReady(s.t, "the quarantined event", func() error {
		if text := s.request(http.MethodGet, base+"/api/v1/quarantine"); !bytes.Contains(text, []byte("nonsense")) {
			return errors.New(string(text))
		}
		return nil
	})
	if text := s.request(http.MethodPost, base+"/api/v1/quarantine/retry"); !bytes.Contains(text, []byte(`"asked":1`)) {
		s.t.Errorf("retry as queryd: got %s", text)
	}
	prefix := snapshot.RetryRequestPrefix(s.cfg)
	if _, err := s.dial(s.as("root")).RoleRevokePermission(s.t.Context(), "queryd", prefix, clientv3.GetPrefixRangeEnd(prefix)); err != nil {
		s.t.Fatal(err)
	}
	if text := s.request(http.MethodPost, base+"/api/v1/quarantine/retry"); !bytes.HasPrefix(text, []byte("503")) || !bytes.Contains(text, []byte("collectd access")) {
		s.t.Errorf("retry without the right: got %s", text)
	}
	expectLines(s.t, access(s.t, s.as("root")), "role queryd: may write "+prefix+" from now on")
}

func (s *secureEtcd) request(method, address string) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Appendf(nil, "%d %s", resp.StatusCode, text)
}

// checkRights puts and gets keys as each user.
func (s *secureEtcd) checkRights() {
	s.t.Helper()
	inside, outside, retry := s.cfg.Key("config", "x"), "/elsewhere/x", snapshot.RetryRequestPrefix(s.cfg)+"001/x"
	for _, c := range []struct {
		user, key string
		put, get  bool
	}{
		{"ingestd", inside, true, true}, {"ingestd", outside, false, false}, {"ingestd", s.cfg.Root + "0", false, false},
		{"collectd", inside, true, true}, {"collectd", outside, false, false},
		{"queryd", inside, false, true}, {"queryd", retry, true, true}, {"queryd", outside, false, false},
		{"queryd", s.cfg.Prefix("queue") + "001/x", false, true},
		{"mallory", inside, false, false}, {"mallory", retry, false, false},
		{"root", inside, true, true}, {"root", outside, true, true},
	} {
		client := s.dial(s.as(c.user))
		_, err := client.Put(s.t.Context(), c.key, "x")
		s.expectAllowed(c.user+" puts "+c.key, err, c.put)
		_, err = client.Get(s.t.Context(), c.key)
		s.expectAllowed(c.user+" gets "+c.key, err, c.get)
	}
	_, err := s.dial(s.as("collectd")).Compact(s.t.Context(), 1)
	s.expectAllowed("collectd compacts", err, false)
	if resp := <-s.dial(s.as("mallory")).Watch(s.t.Context(), s.cfg.Root+"/", clientv3.WithPrefix()); resp.Err() == nil {
		s.t.Errorf("mallory watches: got %+v", resp)
	}
}

func (s *secureEtcd) expectAllowed(what string, err error, want bool) {
	s.t.Helper()
	if want && err != nil || !want && !errors.Is(err, rpctypes.ErrPermissionDenied) {
		s.t.Errorf("%s: got %v, want permitted %t", what, err, want)
	}
}

// A daemon that runs with the rights of queryd names its user and the cure: in the error of an append, and in the log of a collector.
func TestRunningDaemonsNameTheMissingRight(t *testing.T) {
	t.Parallel()
	s := newSecureEtcd(t, true)
	access(t, s.as("root"), "-enable")
	if _, err := eventstest.OpenLog(t, s.as("ingestd")).Append(t.Context(), eventstest.Events("h1", 0, 1)); err != nil {
		t.Fatal(err)
	}
	_, err := eventstest.OpenLog(t, s.as("queryd")).Append(t.Context(), eventstest.Events("h1", 1, 1))
	if !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.Contains(err.Error(), `user "queryd"`) || !strings.Contains(err.Error(), "collectd access") {
		t.Errorf("append as queryd: got %v", err)
	}
	log := refusals{make(chan string, 1)}
	s.startCollector("queryd", slog.New(slog.NewTextHandler(log, nil)))
	select {
	case line := <-log.lines:
		if !strings.Contains(line, `user \"queryd\"`) || !strings.Contains(line, "collectd access") {
			t.Errorf("collectd as queryd: got log %s", line)
		}
	case <-time.After(time.Minute):
		t.Error("collectd as queryd: no message")
	}
}

// refusals receives the first message of a log about a member that cannot join.
type refusals struct{ lines chan string }

func (r refusals) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("joining the collectors")) {
		select {
		case r.lines <- string(line):
		default:
		}
	}
	return len(line), nil
}
