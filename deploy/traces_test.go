package deploy

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/trace/otlp/otlptest"
	"telemetry-pipeline/ingestd/ingest"
)

// callersTrace is the trace that the sender of an upload has begun.
const callersTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// sendInTrace uploads a file in a trace and waits until it is visible.
func sendInTrace(t *testing.T, base, query, traceparent string, file []byte) (answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v1/csv/upload"+query, bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/csv")
	if traceparent != "" {
		req.Header.Set("traceparent", traceparent)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil || resp.StatusCode > http.StatusAccepted {
		t.Fatalf("upload: %d %s (%v)", resp.StatusCode, text.String(), err)
	}
	return text.String()
}

// subscription is a WebSocket client of everything. Its request is part of a trace of its own.
type subscription struct {
	t    *testing.T
	conn *websocket.Conn
}

func subscribeLive(t *testing.T, base string) *subscription {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"gpu.live.v1"}, HandshakeTimeout: 10 * time.Second}
	conn, _, err := dialer.Dial(strings.Replace(base, "http", "ws", 1)+"/ws", http.Header{"Traceparent": {strings.Replace(callersTrace, "0af7", "abcd", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &subscription{t, conn}
	if err := conn.WriteJSON(map[string]any{"op": "sub", "id": "all", "snapshot": true, "hz": 20}); err != nil {
		t.Fatal(err)
	}
	s.awaitMessage("synced")
	return s
}

// subscribeGraphQL subscribes at another rate, so that its messages are not the ones of subscribeLive.
func subscribeGraphQL(t *testing.T, base string) *subscription {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: 10 * time.Second}
	conn, _, err := dialer.Dial(strings.Replace(base, "http", "ws", 1)+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &subscription{t, conn}
	for _, m := range []map[string]any{
		{"type": "connection_init"}, {"type": "subscribe", "id": "all", "payload": map[string]any{"query": "subscription { gpuMetrics(hz: 10) { gpus { id } } }"}},
	} {
		if err := conn.WriteJSON(m); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitMessage("next") // everything that there is: nothing
	return s
}

// awaitMessage reads up to a message of a kind.
func (s *subscription) awaitMessage(kind string) {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		s.t.Fatal(err)
	}
	for {
		var m struct{ T, Type string }
		if err := s.conn.ReadJSON(&m); err != nil {
			s.t.Fatalf("waiting for %s: %v", kind, err)
		}
		if m.T == kind || m.Type == kind {
			return
		}
	}
}

// ofName returns the spans of a daemon with a name.
func ofName(all tracetest.SpanStubs, daemon, name string) (found tracetest.SpanStubs) {
	for _, s := range all {
		if service, _ := s.Resource.Set().Value("service.name"); service.AsString() == daemon && s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// linkedTo returns the spans with a link to one of others.
func linkedTo(spans, others tracetest.SpanStubs) (found tracetest.SpanStubs) {
	for _, s := range spans {
		for _, l := range s.Links {
			if slices.ContainsFunc(others, func(o tracetest.SpanStub) bool {
				return o.SpanContext.TraceID() == l.SpanContext.TraceID() && o.SpanContext.SpanID() == l.SpanContext.SpanID()
			}) {
				found = append(found, s)
				break
			}
		}
	}
	return found
}

// childrenOf returns the spans that are steps of one of others.
func childrenOf(spans, others tracetest.SpanStubs) (found tracetest.SpanStubs) {
	for _, s := range spans {
		if slices.ContainsFunc(others, func(o tracetest.SpanStub) bool {
			return s.Parent.SpanID() == o.SpanContext.SpanID() && s.SpanContext.TraceID() == o.SpanContext.TraceID()
		}) {
			found = append(found, s)
		}
	}
	return found
}

func describeSpans(all tracetest.SpanStubs) string {
	var b strings.Builder
	for _, s := range all {
		service, _ := s.Resource.Set().Value("service.name")
		fmt.Fprintf(&b, "%s: %s %s in %s", service.AsString(), s.Name, s.SpanContext.SpanID(), s.SpanContext.TraceID())
		if s.Parent.IsValid() {
			fmt.Fprintf(&b, " below %s", s.Parent.SpanID())
		}
		for _, l := range s.Links {
			fmt.Fprintf(&b, " link %s", l.SpanContext.SpanID())
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestAnUploadIsFollowedThroughTheDaemons: from the sender's trace over the events and the fold to the push.
func TestAnUploadIsFollowedThroughTheDaemons(t *testing.T) {
	t.Parallel()
	p := &pipeline{t: t, store: eventstest.NewServer(t, nil).Config(t)}
	p.collect()
	uploads := p.ingest(ingest.Thresholds{})
	queries, _ := p.query()
	live, graphql := subscribeLive(t, queries), subscribeGraphQL(t, queries)

	sendInTrace(t, uploads, "?wait=true", callersTrace, readingsFile(0))
	live.awaitMessage("upd")
	graphql.awaitMessage("next")
	eventually(t, "the pushes", func() (bool, string) {
		all := p.traces.GetSpans()
		streams := map[string]bool{}
		for _, push := range ofName(all, "queryd", "push") {
			streams[push.Attributes[0].Value.String()] = true
		}
		return streams["live"] && streams["graphql"], describeSpans(all)
	})
	spans := p.traces.GetSpans()
	requests := ofName(spans, "ingestd", "POST /api/v1/csv/upload")
	appends := childrenOf(ofName(spans, "ingestd", "append"), requests)
	folds := linkedTo(ofName(spans, "collectd", "fold"), appends)
	saves := childrenOf(ofName(spans, "collectd", "save projections"), folds)
	pushes := linkedTo(ofName(spans, "queryd", "push"), saves)
	if len(requests) != 1 || len(appends) == 0 || len(folds) == 0 || len(saves) == 0 || len(pushes) == 0 ||
		len(childrenOf(ofName(spans, "ingestd", "wait until visible"), requests)) != 1 {
		t.Fatalf("%d requests, %d appends, %d folds, %d saves and %d pushes are connected, of\n%s",
			len(requests), len(appends), len(folds), len(saves), len(pushes), describeSpans(spans))
	}
	if r := requests[0]; r.SpanContext.TraceID().String() != callersTrace[3:35] || r.Parent.SpanID().String() != callersTrace[36:52] {
		t.Errorf("the request is in trace %s below %s, want its sender's", r.SpanContext.TraceID(), r.Parent.SpanID())
	}
	for _, s := range spans {
		if text := fmt.Sprint(s.Attributes, s.Events, s.Status.Description, s.Resource.Attributes()); strings.Contains(text, "host-") || strings.Contains(text, "GPU-") {
			t.Errorf("span %s names a host or a GPU: %s", s.Name, text)
		}
	}

	background := strings.Replace(callersTrace, "0af7", "beef", 1)
	sendInTrace(t, uploads, "?async=true&wait=true", background, readingsFile(1))
	eventually(t, "the fold of an upload in the background", func() (bool, string) {
		all := p.traces.GetSpans()
		request := ofName(all, "ingestd", "POST /api/v1/csv/upload")[1:]
		own := linkedTo(ofName(all, "ingestd", "process upload"), request)
		return len(linkedTo(ofName(all, "collectd", "fold"), childrenOf(ofName(all, "ingestd", "append"), own))) > 0, describeSpans(all)
	})
}

// TestUploadsOutsideOfTracesLeaveNone: neither spans nor a trace context in stored values, also when the daemons could send spans.
func TestUploadsOutsideOfTracesLeaveNone(t *testing.T) {
	t.Parallel()
	p := &pipeline{t: t, store: eventstest.NewServer(t, nil).Config(t)}
	p.collect()
	uploads := p.ingest(ingest.Thresholds{})
	p.query()
	for i, traceparent := range []string{"", strings.TrimSuffix(callersTrace, "1") + "0", "garbage", strings.ToUpper(callersTrace)} {
		sendInTrace(t, uploads, "?wait=true", traceparent, readingsFile(i))
	}
	if spans := p.traces.GetSpans(); len(spans) > 0 {
		t.Errorf("there are spans:\n%s", describeSpans(spans))
	}
	log, n := p.log(), 0
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for partition := range log.Facts().Partitions {
		for ev, err := range log.Read(t.Context(), events.Partition(partition), events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			if !ev.Trace.IsZero() {
				t.Errorf("event %s is stored in trace %s", ev.Key, ev.Trace)
			}
		}
	}
	if n == 0 {
		t.Error("there are no events")
	}
	stored, err := p.client().Get(t.Context(), p.store.Root+"/offsets/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range stored.Kvs {
		if bytes.Contains(kv.Value, []byte("trace")) {
			t.Errorf("offsets are stored in a trace: %s", kv.Value)
		}
	}
	if len(stored.Kvs) == 0 {
		t.Error("there are no offsets")
	}
}

// TestDaemonsSendTheirTraces runs the daemons as processes that send their spans over HTTP to one receiver. They are sent when the
// processes stop, at the latest, and the lines that the daemons log about the upload have its trace's id.
func TestDaemonsSendTheirTraces(t *testing.T) {
	t.Parallel()
	receiver, port := otlptest.NewReceiver(), freePorts(t, 7)
	loopback := func(i int) string { return "http://127.0.0.1:" + port[i] }
	launchEtcd(t, loopback(0), loopback(1))
	env := func(admin int, more ...string) []string {
		return append(more, "ADMIN_HOST=127.0.0.1", "ADMIN_PORT="+port[admin], "ETCD_ENDPOINTS="+loopback(0), "LOG_LEVEL=DEBUG",
			"OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.ListenHTTP(t), "OTEL_BSP_SCHEDULE_DELAY=600000")
	}
	daemons := map[string]*process{
		"collectd": launch(t, "collectd", "collectd", env(2, "PARTITION_DATA_DIR="+t.TempDir())),
		"queryd":   launch(t, "queryd", "queryd", env(3, "PORT="+port[4], "QUERY_HOST=127.0.0.1")),
		"ingestd":  launch(t, "ingestd", "ingestd", env(5, "HTTP_PORT="+port[6], "HTTP_HOST=127.0.0.1", "UPLOAD_DIR="+t.TempDir())),
	}
	for _, i := range []int{2, 3, 5} {
		isReady(t, loopback(i))
	}
	live := subscribeLive(t, loopback(4))
	sendInTrace(t, loopback(6), "?wait=true", callersTrace, readingsFile(0))
	live.awaitMessage("upd")
	live.conn.Close()
	for _, p := range daemons {
		p.stop(syscall.SIGTERM)
	}
	checkSteps(t, receiver.Spans(), "ingestd", "collectd", "queryd")
	for name, message := range map[string]string{"ingestd": `"msg":"upload",`, "collectd": `"msg":"committed",`, "queryd": `"msg":"pushed",`} {
		text, err := os.ReadFile(daemons[name].log)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(regexp.QuoteMeta(message) + `.*"trace_id":"[0-9a-f]{32}"`).Match(text) {
			t.Errorf("%s logs no line with %s and a trace's id", name, message)
		}
	}
}

// TestUploadsDoNotWaitForAReceiverOfTraces: the receiver is away, uploads are stored and seen, and the process stops in order.
func TestUploadsDoNotWaitForAReceiverOfTraces(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 4)
	p := launch(t, "standalone", "standalone", []string{"DATA_DIR=" + t.TempDir(), "HTTP_PORT=" + port[0], "PORT=" + port[1], "ADMIN_PORT=" + port[2],
		"HTTP_HOST=127.0.0.1", "QUERY_HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:" + port[3], "OTEL_TRACES_SAMPLER_ARG=1"})
	isReady(t, "http://127.0.0.1:"+port[2])
	for i := range 3 {
		sendInTrace(t, "http://127.0.0.1:"+port[0], "?wait=true", callersTrace, readingsFile(i))
	}
	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the process ended with code %d, want 0", code)
	}
	if text, err := os.ReadFile(p.log); err != nil || !bytes.Contains(text, []byte("spans cannot be sent")) {
		t.Errorf("the log does not name the receiver's absence (%v)", err)
	}
}

// checkSteps checks that spans of three processes lead from the caller's trace to the push.
func checkSteps(t *testing.T, spans []otlptest.Span, ingest, collect, query string) {
	t.Helper()
	ids := map[string]bool{callersTrace[36:52]: true} // of the spans that are connected with the upload
	for _, step := range []struct{ service, name string }{
		{ingest, "POST /api/v1/csv/upload"}, {ingest, "append"}, {collect, "fold"}, {collect, "save projections"}, {query, "push"},
	} {
		found := 0
		for _, s := range spans {
			connected := ids[s.Parent] || slices.ContainsFunc(s.Links, func(id string) bool { return ids[id] })
			if s.Service == step.service && s.Name == step.name && connected {
				ids[s.ID] = true
				found++
			}
		}
		if found == 0 {
			t.Errorf("the receiver got no %s of %s that is connected with the upload; it got %+v", step.name, step.service, spans)
		}
	}
}

// TestStandaloneSendsItsTraces: all steps are of one process.
func TestStandaloneSendsItsTraces(t *testing.T) {
	t.Parallel()
	receiver, port := otlptest.NewReceiver(), freePorts(t, 3)
	loopback := func(i int) string { return "http://127.0.0.1:" + port[i] }
	standalone := launch(t, "standalone", "standalone", []string{"DATA_DIR=" + t.TempDir(), "ADMIN_PORT=" + port[0], "HTTP_PORT=" + port[1], "PORT=" + port[2],
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.ListenHTTP(t)})
	isReady(t, loopback(0))
	live := subscribeLive(t, loopback(2))
	sendInTrace(t, loopback(1), "?wait=true", callersTrace, readingsFile(0))
	live.awaitMessage("upd")
	live.conn.Close()
	standalone.stop(syscall.SIGTERM)
	checkSteps(t, receiver.Spans(), "standalone", "standalone", "standalone")
}
