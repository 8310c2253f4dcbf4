package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/listen"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestFlagBeatsEnvironmentBeatsDefault(t *testing.T) {
	cases := []struct {
		name string
		args []string
		env  map[string]string
		want int
	}{
		{"default", nil, nil, 8081},
		{"environment", nil, map[string]string{"HTTP_PORT": "9001"}, 9001},
		{"flag", []string{"-http.port=9002"}, map[string]string{"HTTP_PORT": "9001"}, 9002},
		{"empty variable is unset", nil, map[string]string{"HTTP_PORT": ""}, 8081},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fs := flag.NewFlagSet("ingestd", flag.ContinueOnError)
			got := fs.Int("http.port", 8081, "port")
			err := parseFlags(fs, process{args: c.args, lookup: environment(c.env), stderr: io.Discard}, nil)
			if err != nil || *got != c.want {
				t.Errorf("got %d, %v; want %d", *got, err, c.want)
			}
		})
	}
}

func TestBadSettingsNameTheirSource(t *testing.T) {
	cases := []struct {
		name, want string
		args       []string
		env        map[string]string
	}{
		{"variable", "HTTP_PORT", nil, map[string]string{"HTTP_PORT": "many"}},
		{"flag", "http.port", []string{"-http.port=many"}, nil},
		{"argument", "serve", []string{"serve"}, nil},
		{"receiver of traces", "otel.exporter.otlp.endpoint", nil, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var stderr bytes.Buffer
			p := process{name: "ingestd", args: c.args, lookup: environment(c.env), stdout: io.Discard, stderr: &stderr}
			flags := func(fs *flag.FlagSet) { fs.Int("http.port", 8081, "port") }
			if code := runProcess(t.Context(), p, flags, nil, nil); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), c.want) {
				t.Errorf("message %q does not name %q", stderr.String(), c.want)
			}
		})
	}
}

// listening finds the admin address in the log of a process.
type listening struct{ addr chan string }

func (l listening) Write(line []byte) (int, error) {
	var entry struct{ Msg, Addr string }
	if json.Unmarshal(line, &entry) == nil && entry.Msg == "admin listener is up" {
		l.addr <- entry.Addr
	}
	return len(line), nil
}

func TestAdminListenerServesReadinessAndMetrics(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := listening{addr: make(chan string, 1)}
	isReady := make(chan struct{})
	part := Part{
		Name: "intake",
		Run:  func(ctx context.Context) error { <-ctx.Done(); return nil },
		Ready: func() error {
			select {
			case <-isReady:
				return nil
			default:
				return errors.New("view is loading")
			}
		},
		Metrics: func(reg prometheus.Registerer) error {
			return reg.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "intake_rows_total"}))
		},
		Status: func(context.Context) (any, error) {
			select {
			case <-isReady:
				return map[string]int{"rows": 7}, nil
			default:
				return nil, errors.New("nothing is known yet")
			}
		},
	}
	var spoiled atomic.Bool
	part.Degraded = func() error {
		if spoiled.Load() {
			return errors.New("7 rows are spoiled")
		}
		return nil
	}
	build := func(context.Context, *Entrance, *slog.Logger) ([]Part, error) { return []Part{part}, nil }
	p := process{name: "test", args: []string{"-admin.host=127.0.0.1", "-admin.port=0"}, lookup: environment(nil), stderr: log}
	code := make(chan int, 1)
	go func() { code <- runProcess(ctx, p, func(*flag.FlagSet) {}, build, nil) }()

	base := "http://" + <-log.addr
	eventually(t, base+"/ready", http.StatusServiceUnavailable, "view is loading")
	eventually(t, base+"/api/v1/status", http.StatusServiceUnavailable, `"intake":{"error":"nothing is known yet"}`)
	close(isReady)
	eventually(t, base+"/api/v1/status", http.StatusOK, `{"data":{"intake":{"rows":7}},"success":true}`)
	eventually(t, base+"/ready", http.StatusOK, "ready")
	eventually(t, base+"/health", http.StatusOK, "alive")
	spoiled.Store(true)
	eventually(t, base+"/health", http.StatusOK, `{"degraded":{"intake":"7 rows are spoiled"},"status":"degraded"}`)
	spoiled.Store(false)
	eventually(t, base+"/health", http.StatusOK, `{"status":"alive"}`)
	eventually(t, base+"/metrics", http.StatusOK, "\ntelemetry_intake_rows_total 0")
	eventually(t, base+"/metrics", http.StatusOK, `telemetry_build_info{goversion="`+runtime.Version()+`",revision="`)
	eventually(t, base+"/debug/pprof/cmdline", http.StatusOK, "")
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d after a clean stop, want 0", got)
	}
}

func eventually(t *testing.T, url string, status int, part string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	var last string
	for time.Now().Before(deadline) {
		resp, err := http.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		last = resp.Status + " " + string(body)
		if resp.StatusCode == status && strings.Contains(string(body), part) {
			return
		}
	}
	t.Fatalf("%s: last answer %q, want %d with %q", url, last, status, part)
}

// openEntrance returns the entrance of a process in open mode.
func openEntrance(t *testing.T) *Entrance {
	t.Helper()
	in, err := OpenEntrance(access.Config{}, listen.TLSConfig{}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestTakenAdminPortSaysHowToChangeIt(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"", "127.0.0.1"} {
		_, err = openAdmin(t.Context(), config{adminHost: host, adminPort: port}, openEntrance(t), quiet())
		if err == nil || !strings.Contains(err.Error(), "ADMIN_PORT") {
			t.Errorf("host %q: got %v, want an error that names ADMIN_PORT", host, err)
		}
	}
}
