package program

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"telemetry-pipeline/deploy/daemon"
)

// listener is a part that serves an address once it runs.
type listener interface{ Addr() net.Addr }

// front is the part in front of all others: it starts when they are up, tells a person where
// everything is, and plays the demo if it is asked for.
func (s *settings) front(dir string, intake, serving listener, lg *slog.Logger) daemon.Part {
	return daemon.Part{Name: "front", Run: func(ctx context.Context) error {
		uploads, queries := reachable(intake.Addr()), reachable(serving.Addr())
		s.announce(uploads, queries, dir)
		if s.demo {
			return newDemo(uploads, lg.With("part", "demo")).run(ctx)
		}
		<-ctx.Done()
		return nil
	}}
}

// greet tells a person where everything is, and what is off.
func (s *settings) greet(uploads, queries, dir string) {
	upload := "off, since enable-http (ENABLE_HTTP) is false"
	if uploads != "" {
		upload = "curl -F file=@export.csv " + uploads + "/api/v1/csv/upload"
	}
	fmt.Fprintf(os.Stdout, welcome, upload, queries, queries, s.streams(queries), dir)
}

// streams tells where subscribers connect.
func (s *settings) streams(queries string) string {
	switch {
	case s.serving.NoWebSocket:
		return "off, since enable-websocket (ENABLE_WEBSOCKET) is false"
	case s.serving.NoGraphQL:
		return queries + "/ws (WebSocket)"
	default:
		return queries + "/ws (WebSocket), /graphql"
	}
}

const welcome = `
  Elastic GPU Telemetry Pipeline is up.

    upload   %s
    query    curl %s/api/v1/gpus
    explore  %s/docs
    live     %s
    data     %s

  Ctrl-C stops it.
`

// reachable gives the address at which this machine reaches a listener, which may listen on all; "" when it
// does not listen.
func reachable(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "http://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
