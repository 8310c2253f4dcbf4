package program

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/access"
)

// listener is a part that serves an address once it runs.
type listener interface{ Addr() net.Addr }

// frontAddresses is the part in front of all others: it starts when they are up, shows a person where
// everything is, and plays the demo if it is asked for.
func (s *settings) frontAddresses(dir string, intake, serving listener, in *daemon.Entrance, lg *slog.Logger) (daemon.Part, error) {
	token := ""
	if s.demo && !in.Guard.IsOpen() {
		var err error
		if token, err = in.Guard.IssueToken("demo", access.RoleIngest); err != nil {
			return daemon.Part{}, err
		}
	}
	return daemon.Part{Name: "front", Run: func(ctx context.Context) error {
		uploads, queries := reachableHost(in.TLS.Scheme(), intake.Addr()), reachableHost(in.TLS.Scheme(), serving.Addr())
		s.announce(uploads, queries, dir)
		if s.demo {
			return newDemo(uploads, token, in.TLS.ClientConfig(), lg.With("part", "demo")).playFleet(ctx)
		}
		<-ctx.Done()
		return nil
	}}, nil
}

// printGreeting prints where everything is, and which surfaces are off.
func (s *settings) printGreeting(uploads, queries, dir string) {
	upload := "off, since enable-http (ENABLE_HTTP) is false"
	if uploads != "" {
		upload = "curl -F file=@export.csv " + uploads + "/api/v1/csv/upload"
	}
	fmt.Fprintf(os.Stdout, welcome, upload, queries, queries, s.listStreams(queries), dir)
}

// listStreams returns the addresses to which subscribers connect.
func (s *settings) listStreams(queries string) string {
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

// reachableHost returns the address at which this machine reaches a listener, which may listen on all; "" when it
// does not listen.
func reachableHost(scheme string, addr net.Addr) string {
	if addr == nil {
		return ""
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return scheme + "://" + addr.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
