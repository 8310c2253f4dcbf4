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
