package query

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/fasthttp/websocket"
)

// Every surface compresses its long answers for clients that take gzip, and sends the same text to those that do not. A
// WebSocket is opened as ever.
func TestLongAnswersAreCompressed(t *testing.T) {
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort}, newFleetStore(4), eventless{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := startServer(t, s)
	for _, path := range []string{"/api/v1/gpus", "/api/v1/telemetry/latest", "/graphql?" + url.Values{"query": {`{gpus {id metrics}}`}}.Encode(), "/openapi.yaml"} {
		plain, packed := fetchCoded(t, base+path, ""), fetchCoded(t, base+path, "gzip")
		if plain.coding != "" || packed.coding != "gzip" || plain.text != packed.text || len(plain.text) < 1<<10 {
			t.Errorf("%s: %q and %q, %d and %d bytes; want the same text, plain and by gzip", path, plain.coding, packed.coding, len(plain.text), len(packed.text))
		}
	}
	if got := fetchCoded(t, base+"/health", "gzip"); got.coding != "" {
		t.Errorf("a short answer is sent by %q", got.coding)
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws"+base[len("http"):]+"/ws", http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := readMessage(t, conn); got.Kind != "hello" {
		t.Errorf("first message is %q, want hello", got.Kind)
	}
	_ = conn.Close() // the server ends with the test
}

type codedText struct{ coding, text string }

// fetchCoded returns an answer's coding and its plain text.
func fetchCoded(t *testing.T, target, accept string) codedText {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	from := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return codedText{resp.Header.Get("Content-Encoding"), string(text)}
}
