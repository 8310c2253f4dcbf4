package program

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/projectionstest"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// stack is everything that standalone starts, in this process.
type stack struct {
	t                *testing.T
	settings         *settings
	uploads, queries string // base URLs
	stop             func()
}

// openEntrance returns the entrance of a process in open mode.
func openEntrance(t testing.TB) *daemon.Entrance {
	t.Helper()
	in, err := daemon.OpenEntrance(access.Config{}, listen.TLSConfig{}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// startStack starts standalone on dir and free loopback ports, with the given settings, and stops it with the test or before.
func startStack(t *testing.T, dir string, set ...func(*settings)) *stack {
	t.Helper()
	up := make(chan [2]string, 1)
	s := &stack{t: t, settings: &settings{
		dataDir:  dir,
		store:    eventlog.Config{DialTimeout: time.Minute}, // of a busy machine
		intake:   ingest.Config{Host: "127.0.0.1", Port: ingest.FreePort},
		serving:  query.Config{Host: "127.0.0.1", Port: query.FreePort},
		announce: func(uploads, queries, _ string) { up <- [2]string{uploads, queries} },
	}}
	for _, change := range set {
		change(s.settings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	lg := slog.New(slog.NewJSONHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	parts, err := s.settings.buildParts(ctx, openEntrance(t), lg)
	if err != nil {
		cancel()
		t.Fatalf("building: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, parts, lg) }()
	select {
	case urls := <-up:
		s.uploads, s.queries = urls[0], urls[1]
	case err := <-ended:
		cancel()
		t.Fatalf("starting: %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("not up after two minutes")
	}
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

// upload sends a file and returns the status and the decoded answer.
func (s *stack) upload(name string, content []byte, parameters string) (int, receipt) {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err == nil {
		_, err = part.Write(content)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.uploads+"/api/v1/csv/upload"+parameters, form.FormDataContentType(), &body)
	if err != nil {
		s.t.Fatalf("uploading %s: %v", name, err)
	}
	defer resp.Body.Close()
	var r receipt
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		s.t.Fatalf("answer to %s: %v", name, err)
	}
	return resp.StatusCode, r
}

// receipt is the answer to an upload.
type receipt struct {
	Success                               bool
	Error, Code, Revision, Dialect        string
	Accepted, Duplicate, Rejected, Absent int
	Errors                                []struct {
		Line                 int
		Column, Text, Reason string
	}
	Status            string
	Warnings          []string
	QuarantinedEvents int `json:"quarantined_events"`
	Quarantined       []struct{ Key, Reason string }
}

// mustUpload uploads a file whose rows are all good and waits until they are visible.
func (s *stack) mustUpload(name string, content []byte) receipt {
	s.t.Helper()
	status, r := s.upload(name, content, "?wait=true")
	if status != http.StatusOK || !r.Success || r.Rejected > 0 {
		s.t.Fatalf("uploading %s: %d %+v", name, status, r)
	}
	return r
}

// get asks the query API and decodes data; it returns the envelope's cursor.
func (s *stack) get(path string, data any) (next string) {
	s.t.Helper()
	status, text := s.fetch(path)
	var envelope struct {
		Success    bool
		Data       json.RawMessage
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil || status != http.StatusOK || !envelope.Success {
		s.t.Fatalf("GET %s: %d %.300s (%v)", path, status, text, err)
	}
	decode(s.t, envelope.Data, data)
	return envelope.NextCursor
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("decoding %.300s: %v", text, err)
	}
}

func (s *stack) fetch(path string) (int, []byte) {
	s.t.Helper()
	resp, err := http.Get(s.queries + path)
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode, text
}

// graphql runs a query and decodes its data.
func (s *stack) graphql(document string, variables map[string]any, data any) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": variables})
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(s.queries+"/graphql", "application/json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		s.t.Fatalf("GraphQL: %d %v %v", resp.StatusCode, answer.Errors, err)
	}
	decode(s.t, answer.Data, data)
}

// models reads every stored projection as its bytes: two stacks with equal projections have equal maps.
func (s *stack) models() map[string]string {
	s.t.Helper()
	ctx := s.t.Context()
	client, err := s.settings.store.Dial(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	return readModels(s.t, ctx, client, s.settings.store)
}

func readModels(t *testing.T, ctx context.Context, client *clientv3.Client, cfg eventlog.Config) map[string]string {
	t.Helper()
	log, err := eventlog.Open(ctx, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	store := snapshot.New(client, cfg, log.Facts(), nil)
	g, err := store.Active(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all, err := store.Load(ctx, g)
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]string{}
	for _, h := range all.Hosts {
		models["live "+string(h.Host)] = string(projectionstest.LiveBytes(h.Live))
		models["identity "+string(h.Host)] = string(projections.AppendIdentity(nil, h.Identity))
		series, err := store.Series(ctx, g, h.Partition, h.Host, windowsOf(h.Identity))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range series {
			models["series "+string(h.Host)+" "+w.Window.Start().String()] = string(projections.AppendHostWindow(nil, &w.Series))
		}
	}
	return models
}

func windowsOf(id *projections.Identity) []projections.Window {
	var all []projections.Window
	for _, span := range id.Windows {
		for w := span.First; w <= span.Last; w++ {
			all = append(all, w)
		}
	}
	return all
}

// shared returns a real file that the repository does not carry.
func shared(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "data", name))
	if err != nil {
		t.Skipf("%s missing beside the checkout: this test compares with a real export", name)
	}
	return content
}
