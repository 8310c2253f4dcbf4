package daemon

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"telemetry-pipeline/events/listen/listentest"
)

// TestHealthAsksTheRunningDaemon runs the command health beside a daemon, with the variables of both.
func TestHealthAsksTheRunningDaemon(t *testing.T) {
	cert, key := listentest.NewCA(t).Server(t, t.TempDir(), "telemetry.example")
	for name, env := range map[string]map[string]string{
		"plain":           {},
		"all interfaces":  {"ADMIN_HOST": "0.0.0.0", "ACCESS_OPEN": "true"},
		"by another name": {"TLS_CERT": cert, "TLS_KEY": key},
	} {
		t.Run(name, func(t *testing.T) { checkHealth(t, env) })
	}
}

func checkHealth(t *testing.T, env map[string]string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var current atomic.Bool
	part := Part{Name: "intake", Run: func(ctx context.Context) error { <-ctx.Done(); return nil }, Ready: func() error {
		if !current.Load() {
			return errors.New("view is loading")
		}
		return nil
	}}
	build := func(context.Context, *Entrance, *slog.Logger) ([]Part, error) { return []Part{part}, nil }
	log := listening{addr: make(chan string, 1)}
	code := make(chan int, 1)
	daemon := process{name: "test", args: []string{"-admin.port=0"}, lookup: environment(env), stderr: log}
	go func() { code <- runProcess(ctx, daemon, func(*flag.FlagSet) {}, build, nil) }()
	_, port, err := net.SplitHostPort(<-log.addr)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, said string) {
		var out bytes.Buffer
		p := process{name: "test", args: append([]string{"health"}, args...), lookup: environment(env), stdout: &out, stderr: &out}
		// The default port of a daemon is the command's too.
		flags := func(fs *flag.FlagSet) { fs.Lookup("admin.port").Value.Set(port) }
		return runProcess(t.Context(), p, flags, nil, nil), out.String()
	}
	ask := func(wantCode int, wantText string, args ...string) {
		t.Helper()
		if code, said := run(args...); code != wantCode || !strings.Contains(said, wantText) {
			t.Errorf("health %q: got code %d and %q, want %d and %q", args, code, said, wantCode, wantText)
		}
	}
	ask(1, "not ready")
	ask(0, "alive", "-live")
	ask(2, "takes no argument", "now")
	current.Store(true)
	for code, _ := run(); code != 0 && t.Context().Err() == nil; code, _ = run() { // the listener is up before the parts are known
	}
	ask(0, `"status":"ready"`)
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d after a clean stop, want 0", got)
	}
	ask(1, "does not answer")
}
