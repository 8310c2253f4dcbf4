package query

import (
	"flag"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	var cfg Config
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	cfg.Flags(fs)
	for name, want := range map[string]string{"port": "8080", "enable-graphql": "true", "enable-websocket": "true"} {
		if f := fs.Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("flag %s: %+v, want default %q", name, f, want)
		}
	}
	if err := fs.Parse([]string{"-port=0", "-enable-graphql=false"}); err != nil {
		t.Fatal(err)
	}
	if cfg.Port != FreePort || !cfg.NoGraphQL || cfg.NoWebSocket {
		t.Errorf("parsed %+v", cfg)
	}
	for _, bad := range []Config{{DrainTimeout: -1}, {Host: "0.0.0.0"}, {GraphQLTimeout: -1}} {
		if _, err := New(bad, empty{}, eventless{}, nil); err == nil {
			t.Errorf("%+v is taken, want an error", bad)
		}
	}
}

func TestWithoutAHostOnlyThisMachineIsServed(t *testing.T) {
	base, _ := startServer(t, newServer(t, Config{Port: FreePort}))
	_, port, err := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
	if err != nil || !strings.HasPrefix(base, "http://127.0.0.1:") {
		t.Fatalf("the server is at %s, %v, want 127.0.0.1", base, err)
	}
	hosts := []string{"127.0.0.1"}
	if probe, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		_ = probe.Close()
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		resp, err := http.Get("http://" + net.JoinHostPort(host, port) + "/health")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s does not answer: %v, %v", host, resp, err)
			continue
		}
		_ = resp.Body.Close()
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"", "127.0.0.1"} {
		err = newServer(t, Config{Host: host, Port: Port(port)}).Run(t.Context())
		for _, word := range []string{strconv.Itoa(port), "is taken", "flag port", "PORT"} {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("a taken port of host %q: %v, want %q in it", host, err, word)
			}
		}
	}
}
