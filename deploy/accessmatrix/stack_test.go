package accessmatrix

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/listen/listentest"
)

// stack is a pipeline of processes, with telemetry of own and foreign hosts.
type stack struct {
	*testing.T
	*world
	queries, uploads string
	admins           map[string]string // by program
	processes        []*process
	audits           []string
	now              time.Time  // of the newest telemetry
	etcd             *etcdUsers // of daemons
	archive          string     // their archive
}

// serverFlags are the settings by which tests need not wait.
func serverFlags() []string {
	return []string{"-live.heartbeat=250ms"}
}

// start starts a program with the world's credentials.
func (s *stack) start(program string, flags ...string) *process {
	audit := filepath.Join(s.T.TempDir(), "audit.log")
	p := launch(s.T, program, append(append(s.flags(), "-access.audit="+audit), flags...)...)
	s.processes, s.audits = append(s.processes, p), append(s.audits, audit)
	s.admins[program] = "https://" + p.address("admin listener is up")
	return p
}

func newStack(t *testing.T) *stack {
	t.Helper()
	return &stack{T: t, world: newWorld(t), admins: map[string]string{}, now: time.Now().Truncate(time.Second)}
}

// startStandalone starts everything in one process.
func startStandalone(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	dir := t.TempDir()
	p := s.start("standalone", append(serverFlags(), "-data-dir="+dir, "-port=0", "-http.port=0", "-cluster.partitions=4", "-collect.series-interval=100ms")...)
	s.queries, s.uploads = "https://"+p.address("query server is up"), "https://"+p.address("upload server is up")
	store := eventlog.Config{}
	store.Endpoints = "unix://" + filepath.Join(dir, "run", "client")
	s.load(store)
	return s
}

// etcdUsers is an etcd that asks for client certificates, and their authority.
type etcdUsers struct {
	t         *testing.T
	authority *listentest.CA
	dir       string
	endpoint  string
}

// startEtcd starts etcd as a process and creates its users.
func (s *stack) startEtcd() {
	e := &etcdUsers{t: s.T, authority: listentest.NewCA(s.T), dir: s.T.TempDir()}
	cert, key := e.authority.Server(s.T, e.dir)
	e.endpoint = "https://127.0.0.1:" + freePort(s.T)
	peer := "http://127.0.0.1:" + freePort(s.T)
	p := launch(s.T, "etcd", "--data-dir="+filepath.Join(e.dir, "data"), "--listen-client-urls="+e.endpoint, "--advertise-client-urls="+e.endpoint,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer, "--unsafe-no-fsync=true", "--enable-grpc-gateway=false",
		"--cert-file="+cert, "--key-file="+key, "--client-cert-auth=true", "--trusted-ca-file="+e.authority.File)
	s.etcd, s.processes = e, append(s.processes, p)
	var output string
	eventually(s.T, "collectd access", func() (bool, string) {
		var code int
		code, output = runProgram(s.T, nil, "collectd", append([]string{"access", "-enable"}, e.flags("root")...)...)
		return code == 0, output
	})
	if !strings.Contains(output, "authentication: is enabled from now on") {
		s.T.Fatalf("collectd access -enable: %s", output)
	}
}

// flags returns the settings of a process with the certificate of a user of etcd; "" has none.
func (e *etcdUsers) flags(user string) []string {
	flags := []string{"-etcd.endpoints=" + e.endpoint, "-etcd.ca=" + e.authority.File}
	if user != "" {
		cert, key := e.certificate(user)
		flags = append(flags, "-etcd.cert="+cert, "-etcd.key="+key)
	}
	return flags
}

func (e *etcdUsers) certificate(user string) (cert, key string) {
	dir := filepath.Join(e.dir, user)
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		e.t.Fatal(err)
	}
	return e.authority.Client(e.t, dir, user)
}

// store returns the settings of a client of etcd with the certificate of a user.
func (e *etcdUsers) store(user string) eventlog.Config {
	cfg := eventlog.Config{}
	cfg.Endpoints, cfg.CAFile = e.endpoint, e.authority.File
	cfg.CertFile, cfg.KeyFile = e.certificate(user)
	return cfg
}

// startDaemons starts etcd and the three daemons, each with its own user.
func startDaemons(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	s.startEtcd()
	s.archive = "file://" + t.TempDir()
	s.start("collectd", append(s.etcd.flags("collectd"), "-partition.data-dir="+t.TempDir(), "-cluster.partitions=4", "-collect.series-interval=100ms", "-archive.url="+s.archive)...)
	uploads := s.start("ingestd", append(s.etcd.flags("ingestd"), "-http.port=0", "-upload-dir="+t.TempDir())...)
	queries := s.start("queryd", append(append(s.etcd.flags("queryd"), serverFlags()...), "-port=0")...)
	s.queries, s.uploads = "https://"+queries.address("query server is up"), "https://"+uploads.address("upload server is up")
	s.load(s.etcd.store("root"))
	return s
}

// load waits until the servers are ready, uploads the telemetry of all hosts, and puts an event that cannot be folded of each host
// into the log.
func (s *stack) load(store eventlog.Config) {
	s.T.Helper()
	client := s.client(s.named("admin-whole"))
	for _, p := range s.processes {
		if admin := s.admins[p.name]; admin != "" {
			p.awaitReady(client, admin)
		}
	}
	rows := fleetFile(s.now)
	status, text := s.upload(s.named("admin-whole"), "?wait=true", rows)
	var receipt struct{ Accepted, Rejected int }
	if err := json.Unmarshal([]byte(text), &receipt); err != nil || status != http.StatusOK || receipt.Accepted != bytes.Count(rows, []byte("\n"))-1 {
		s.T.Fatalf("upload of the telemetry: %d %s", status, text)
	}
	s.quarantine(store)
}

// quarantine writes a text that is no record into the log for some hosts, as producers of the older layout do, and waits until all of
// them are quarantined.
func (s *stack) quarantine(store eventlog.Config) {
	s.T.Helper()
	store.Root, store.ClusterID = eventlog.DefaultRoot, eventlog.DefaultClusterID
	client, err := store.Dial(nil)
	if err != nil {
		s.T.Fatal(err)
	}
	defer client.Close()
	hosts := []string{ownHost, foreignHost}
	for i, host := range hosts {
		key := fmt.Sprintf("%s%d_%s_0_%d", store.Prefix("queue"), s.now.Unix(), host, i)
		if _, err := client.Put(s.T.Context(), key, "no record of "+host); err != nil {
			s.T.Fatal(err)
		}
	}
	eventually(s.T, "the quarantine", func() (bool, string) {
		status, text := get(s.T, s.client(s.named("read-whole")), s.queries+"/api/v1/quarantine")
		return status == http.StatusOK && strings.Contains(text, `"count":2`), text
	})
}

// upload uploads a file as a principal.
func (s *stack) upload(p *principal, parameters string, content []byte) (status int, text string) {
	s.T.Helper()
	return s.do(s.client(p), http.MethodPost, s.uploads+"/api/v1/csv/upload/export.csv"+parameters, "text/csv", content)
}

// answer is an answer to a request.
type answer struct {
	status int
	body   string
	header http.Header
}

func (a answer) String() string { return fmt.Sprintf("%d %.600s", a.status, a.body) }

// text returns everything that a client sees of an answer.
func (a answer) text() string {
	var b strings.Builder
	for name, values := range maps.All(a.header) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(values, ", "))
	}
	return b.String() + a.body
}

// ask sends a request and reads the whole answer.
func ask(t *testing.T, client *http.Client, method, address, contentType string, body []byte) answer {
	t.Helper()
	a, err := tryAsk(t.Context(), client, method, address, contentType, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	if b, ok := client.Transport.(*bearer); ok && b.token != "" && strings.Contains(a.text(), b.token) {
		t.Errorf("%s %s: the token is in the answer", method, address)
	}
	return a
}

// tryAsk is ask for requests that may fail.
func tryAsk(ctx context.Context, client *http.Client, method, address, contentType string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if contentType != "" && body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text), resp.Header}, err
}

func (s *stack) do(client *http.Client, method, address, contentType string, body []byte) (status int, text string) {
	s.T.Helper()
	a := ask(s.T, client, method, address, contentType, body)
	return a.status, a.body
}
