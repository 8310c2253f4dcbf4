package query

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
)

// BenchmarkQueryWithAccess measures queries in open mode and of a principal of everything, in turns, over connections that are
// kept. Each is asked of two servers, the outer two and the inner two of four, since long answers take some percent longer from a
// server that was started later. The metrics are the medians' nanoseconds of one query of each, and the cost of access in percent.
func BenchmarkQueryWithAccess(b *testing.B) {
	token, line, err := access.NewToken("a", []access.Role{access.RoleRead}, access.Everything(), time.Time{})
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "principals")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		b.Fatal(err)
	}
	start := func(guard *access.Guard) net.Conn {
		s, err := New(Config{Host: "127.0.0.1", Port: FreePort, Guard: guard}, newFleetStore(1000), eventless{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		startServer(b, s)
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		return conn
	}
	open, guarded := newGuard(b, access.Config{}), newGuard(b, access.Config{File: file})
	var sides [2]benchedSide
	for _, place := range []int{0, 1, 1, 0} {
		conn := start([]*access.Guard{open, guarded}[place])
		sides[place].servers = append(sides[place].servers, benchedServer{conn, bufio.NewReader(conn)})
	}
	sides[1].header = "Authorization: Bearer " + token + "\r\n"
	for name, target := range map[string]string{
		"cluster": "/api/v1/cluster", "a GPU": "/api/v1/gpus?limit=1", "GPUs": "/api/v1/gpus",
		"GraphQL": "/graphql?" + url.Values{"query": {`{cluster {gpuCount hostCount}}`}}.Encode(),
	} {
		b.Run(name, func(b *testing.B) {
			sides[0].took, sides[1].took = nil, nil
			for i := 0; b.Loop(); i++ {
				sides[i%2].query(b, target)
				sides[1-i%2].query(b, target)
			}
			without, with := sides[0].median(), sides[1].median()
			b.ReportMetric(float64(without), "open-ns")
			b.ReportMetric(float64(with), "access-ns")
			b.ReportMetric(100*(float64(with)/float64(without)-1), "cost-%")
		})
	}
}

// benchedSide is one of the two that are compared.
type benchedSide struct {
	servers []benchedServer
	header  string
	took    []time.Duration
}

// benchedServer is a kept connection to a server.
type benchedServer struct {
	conn    net.Conn
	answers *bufio.Reader
}

// query asks one of the servers after the other, and reads the whole answer.
func (s *benchedSide) query(b *testing.B, target string) {
	to := s.servers[len(s.took)%len(s.servers)]
	began := time.Now()
	if _, err := fmt.Fprintf(to.conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", target, s.header); err != nil {
		b.Fatal(err)
	}
	resp, err := http.ReadResponse(to.answers, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s, %v", target, resp.Status, err)
	}
	s.took = append(s.took, time.Since(began))
}

// median returns the median time of a query.
func (s *benchedSide) median() time.Duration {
	slices.Sort(s.took)
	return s.took[len(s.took)/2]
}
