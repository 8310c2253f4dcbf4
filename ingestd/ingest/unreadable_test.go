package ingest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// TestUnreadableRequestsAreNotShown: the text of the HTTP library has the header of a request that it cannot read, and its token.
func TestUnreadableRequestsAreNotShown(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	const token = "tp_tokenofthistest"
	for name, request := range map[string]string{
		"bad line":    "GET\r\nAuthorization: Bearer " + token + "\r\n\r\n",
		"bad length":  "POST " + uploadPath + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\nContent-Length: x\r\n\r\n",
		"no colon":    "GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer " + token + "EOF\r\n\r\n",
		"long header": "GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + strings.Repeat("x", 1<<20) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, request) }() // the server may answer before it has read all
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		if strings.Contains(string(body), token) || resp.StatusCode < 400 || resp.StatusCode > 499 {
			t.Errorf("%s: got status %d, %s", name, resp.StatusCode, body)
		}
		for _, header := range []string{"X-Content-Type-Options", "Content-Security-Policy", "X-Frame-Options"} {
			if resp.Header.Get(header) == "" {
				t.Errorf("%s: no header %s", name, header)
			}
		}
	}
}
