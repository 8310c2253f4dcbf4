package subscribe

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"
	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events/caller"
	"telemetry-pipeline/events/listen/listentest"
)

func TestATokenIsInTheFirstMessageOnly(t *testing.T) {
	ca := listentest.NewCA(t)
	pair, err := tls.LoadX509KeyPair(ca.Server(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	const token = "tp_0123456789"
	var first message
	upgrader := websocket.Upgrader{Subprotocols: []string{subprotocol}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request bytes.Buffer
		if _ = r.Write(&request); strings.Contains(request.String(), token) {
			t.Errorf("the token is in the request:\n%s", &request)
		}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		p := &peer{t: t, ws: ws}
		first = p.expect("connection_init")
		p.send(`{"type":"connection_ack"}`)
		p.expect("subscribe")
		p.complete()
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()

	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Config{URL: server.URL, Caller: caller.Config{CA: ca.File, TokenFile: file}})
	if err := c.Run(t.Context(), document, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if got, want := string(first.Payload), `{"authorization":"Bearer `+token+`"}`; got != want {
		t.Errorf("the first message has %s, want %s", got, want)
	}
	if _, err := New(Config{URL: "http://example.org", Caller: caller.Config{TokenFile: file}}, nil); err == nil {
		t.Error("a token over plain HTTP to another machine is accepted")
	}
}

func TestAnExpiredTokenIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	writeToken := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Error(err)
		}
	}
	writeToken("old")
	var payloads []string
	upgrader := websocket.Upgrader{Subprotocols: []string{subprotocol}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		p := &peer{t: t, ws: ws}
		payloads = append(payloads, string(p.expect("connection_init").Payload))
		if len(payloads) == 3 {
			p.closeWith(codeUnauthorized, "revoked")
			return
		}
		p.send(`{"type":"connection_ack"}`)
		p.expect("subscribe")
		p.result("1")
		writeToken("new")
		p.closeWith(codeUnauthorized, "expired")
	}))
	defer server.Close()
	c := newClient(t, Config{URL: server.URL, Caller: caller.Config{TokenFile: file}})
	err := c.Run(t.Context(), document, &bytes.Buffer{})
	want := []string{`{"authorization":"Bearer old"}`, `{"authorization":"Bearer new"}`, `{"authorization":"Bearer new"}`}
	if diff := cmp.Diff(want, payloads); diff != "" || !isFinal(err) {
		t.Errorf("ended with %v; the first messages (-want +got):\n%s", err, diff)
	}
}
