package query

import (
	"flag"
	"net"
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
