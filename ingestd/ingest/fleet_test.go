package ingest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// The hosts of a fleet may all reach the server from one address, each over a connection that it keeps.
func TestAFleetBehindOneAddressIsServed(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	file := string(pipelinetest.DCGMFile(1, 1))
	for i := range 600 {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%s", "/api/v1/csv/upload", len(file), file)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if r := responseOf(t, resp); r.status != http.StatusOK || !strings.Contains(r.body, `"success":true`) {
			t.Fatalf("connection %d was answered %d %s", i, r.status, r.body)
		}
	}
}
