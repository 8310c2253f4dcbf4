package deploy

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"telemetry-pipeline/events/archive/archivetest"
)

// composeRig runs the services of the compose file as processes of this machine. The names of services become loopback ports, and the
// folders in containers become folders of the test.
type composeRig struct {
	t       *testing.T
	dir     string
	gateway string            // the S3 server's program
	ports   map[string]string // by service and port, such as etcd-1:2379
}

// port returns the port of this machine that stands for a port of a service.
func (r *composeRig) port(service, port string) string {
	key := service + ":" + port
	if r.ports[key] == "" {
		r.ports[key] = freePorts(r.t, 1)[0]
	}
	return r.ports[key]
}

// localize returns a value of a service's settings with the addresses and folders of this machine.
func (r *composeRig) localize(service, value string) string {
	for _, name := range []string{"etcd-1", "etcd-2", "etcd-3", "s3"} {
		for _, port := range []string{"2379", "2380", "7070"} {
			value = strings.ReplaceAll(value, "http://"+name+":"+port, "http://127.0.0.1:"+r.port(name, port))
		}
	}
	for _, port := range []string{"2379", "2380"} {
		value = strings.ReplaceAll(value, "0.0.0.0:"+port, "127.0.0.1:"+r.port(service, port))
	}
	switch value {
	case ":7070":
		return "127.0.0.1:" + r.port(service, "7070")
	case "*":
		return "127.0.0.1"
	}
	for _, folder := range []string{"/data", "/etcd-data", "/buckets", "/sidecar"} {
		if value == folder || strings.HasPrefix(value, folder+"/") {
			return r.folder(service, value)
		}
	}
	return value
}

// folder makes the folder of this machine that stands for a folder of a container.
func (r *composeRig) folder(service, path string) string {
	local := filepath.Join(r.dir, service, path)
	if err := os.MkdirAll(local, 0o700); err != nil {
		r.t.Fatal(err)
	}
	return local
}

// start starts a service with its own settings, and more.
func (r *composeRig) start(name string, s types.ServiceConfig, more ...string) {
	r.t.Helper()
	var env, args []string
	for _, setting := range variablesIn(s) {
		variable, value, _ := strings.Cut(setting, "=")
		env = append(env, variable+"="+r.localize(name, value))
	}
	for _, argument := range s.Command {
		args = append(args, r.localize(name, argument))
	}
	for _, volume := range s.Volumes {
		r.folder(name, volume.Target)
	}
	program, ours := programOf(s.Image)
	switch {
	case ours:
		launch(r.t, name, program, append(env, more...), args...)
	case strings.HasPrefix(program, "etcd:"):
		launch(r.t, name, "etcd", append(env, "ETCD_LOG_LEVEL=error"), args...)
	default:
		r.startGateway(env, args)
	}
}

func (r *composeRig) startGateway(env, args []string) {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, r.gateway, append([]string{"--quiet"}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), r.t.Output(), r.t.Output()
	if err := cmd.Start(); err != nil {
		stop()
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
	})
}

// TestComposeServicesWorkTogether starts every service of the compose file as a process, with the settings of the file. An upload to each
// ingestd is read from each queryd, and its events are in the bucket.
func TestComposeServicesWorkTogether(t *testing.T) {
	t.Parallel()
	r := &composeRig{t: t, dir: t.TempDir(), gateway: archivetest.GatewayProgram(t), ports: map[string]string{}}
	services := readCompose(t).Services
	daemons := map[string][]string{} // variables by service
	for _, name := range slices.Sorted(maps.Keys(services)) {
		more := []string{"ADMIN_HOST=127.0.0.1", "ADMIN_PORT=" + r.port(name, "admin")}
		program, ours := programOf(services[name].Image)
		switch program {
		case "ingestd":
			more = append(more, "HTTP_PORT="+r.port(name, "8081"))
		case "queryd":
			more = append(more, "PORT="+r.port(name, "8080"))
		case "collectd":
			more = append(more, "ARCHIVE_INTERVAL=2s")
		}
		if r.start(name, services[name], more...); ours {
			daemons[name] = more
		}
	}
	for name, env := range daemons {
		r.isHealthy(services[name], env)
	}
	for second, name := range []string{"ingestd-1", "ingestd-2"} {
		file := fleetFile(20, second+1)
		revision := upload(t, "http://127.0.0.1:"+r.port(name, "8081"), file)
		first := dataOf(t, "http://127.0.0.1:"+r.port("queryd-1", "8080"), revision)
		if other := dataOf(t, "http://127.0.0.1:"+r.port("queryd-2", "8080"), revision); first != other || !strings.Contains(first, "host-019") {
			t.Errorf("after an upload to %s the query servers answer %.200s and %.200s", name, first, other)
		}
	}
	eventually(t, "events in the bucket", func() (bool, string) { return r.archived() > 0, "" })
	if status, _ := get("http://127.0.0.1:" + r.port("queryd-1", "8080") + "/docs"); status != http.StatusOK {
		t.Errorf("/docs is answered %d", status)
	}
}

// isHealthy waits until the health check of a service succeeds.
func (r *composeRig) isHealthy(s types.ServiceConfig, env []string) {
	r.t.Helper()
	eventually(r.t, "health of "+s.Name, func() (bool, string) {
		program := strings.TrimPrefix(s.HealthCheck.Test[1], "/")
		said, err := programCommand(r.t.Context(), r.t, program, env, s.HealthCheck.Test[2:]...).CombinedOutput()
		return err == nil, string(said)
	})
}

// archived returns the number of Parquet files in the bucket.
func (r *composeRig) archived() (files int) {
	_ = filepath.WalkDir(filepath.Join(r.dir, "s3", "buckets", "archive"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if content, err := os.ReadFile(path); err == nil && bytes.HasPrefix(content, []byte("PAR1")) {
				files++
			}
		}
		return nil // files come and go meanwhile
	})
	return files
}
