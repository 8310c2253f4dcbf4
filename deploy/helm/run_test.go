package helm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestReleaseRuns runs the pods of a rendered release as processes of this machine: etcd with its certificates, the Job that
// creates users, the three daemons, the pod of helm test, the Job of snapshots. Directories stand for volumes, free ports for Services.
func TestReleaseRuns(t *testing.T) {
	values := parseValues(t, "tests: {write: true}")
	n := &node{t: t, dir: t.TempDir(), objects: decodeObjects(t, documents(t, render(t, values))), ports: map[string]string{}}
	n.pods = n.objects.pods()
	for n.member = range members {
		n.start("StatefulSet/telemetry-pipeline-etcd", "etcd", 0)
	}
	for member := range members {
		n.awaitOK("http://127.0.0.1:"+n.port(memberName(member), "2381")+"/readyz", "")
	}
	n.startDaemon("collector", "collectd")
	if out := n.run("Job/telemetry-pipeline-etcd-access", "collectd", 0); !strings.Contains(out, "authentication") {
		t.Errorf("the Job of access printed:\n%s", out)
	}
	if out := n.run("Job/telemetry-pipeline-etcd-access", "collectd", 0); !strings.Contains(out, "nothing was changed") {
		t.Errorf("the second run of the Job printed:\n%s", out)
	}
	n.startDaemon("streamer", "ingestd") // with authentication in etcd, as after a restart
	n.startDaemon("gateway", "queryd")
	n.checkUploads()
	n.run("Pod/telemetry-pipeline-test", "ingestd", 0)
	if out := n.run("Pod/telemetry-pipeline-test", "queryd", 1); !strings.Contains(out, `"name":"helm-test"`) {
		t.Errorf("the query of helm test printed:\n%s", out)
	}
	if out := n.run("CronJob/telemetry-pipeline-etcd-snapshot", "collectd", 0); !strings.Contains(out, ".db: ") {
		t.Errorf("the Job of snapshots printed:\n%s", out)
	}
}

func (n *node) startDaemon(name, program string) {
	n.t.Helper()
	n.start("Deployment/telemetry-pipeline-nexus-"+name, program, 0)
	n.awaitOK(n.url(name, "ADMIN_PORT")+"/ready", "")
}

// checkUploads runs the commands of the document's "Testing the Migration" with the tokens of the release.
func (n *node) checkUploads() {
	n.t.Helper()
	admin := n.token("admin-token")
	up, query := n.url("streamer", "HTTP_PORT"), n.url("gateway", "PORT")
	sample := "timestamp,metric_name,gpu_id,uuid,Hostname,value\n2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_TEMP,0,GPU-a,n1,41\n"
	for name, c := range map[string]struct {
		token, query string
		status       int
	}{
		"admin": {admin, "?wait=true", 200}, "nobody": {"", "", 401}, "monitoring": {n.token("monitoring-token"), "", 403}, "async": {admin, "?async=true", 400},
	} {
		if status, body := n.upload(up+"/api/v1/csv/upload"+c.query, c.token, sample); status != c.status {
			n.t.Errorf("upload of %s: %d %s, want %d", name, status, body, c.status)
		}
	}
	n.await("the GPU is in the gateway's answer", func() bool {
		status, body := n.get(query+"/api/v1/gpus", admin)
		return status == 200 && strings.Contains(body, "GPU-a")
	})
	if status, _ := n.get(query+"/api/v1/gpus", ""); status != 401 {
		n.t.Errorf("a query without a token: %d", status)
	}
	for _, name := range []string{"streamer", "gateway", "collector"} {
		if status, body := n.get(n.url(name, "ADMIN_PORT")+"/metrics", n.token("monitoring-token")); status != 200 || !strings.Contains(body, "build_info") {
			n.t.Errorf("metrics of %s: %d %.200s", name, status, body)
		}
	}
}

// node is this machine in the part of a node of a cluster.
type node struct {
	t       *testing.T
	dir     string
	objects objectSet
	pods    map[string]corev1.PodTemplateSpec
	ports   map[string]string // a free port for each "name/port of the pod"
	member  int               // of etcd, the one that is started
}

const members = 3

func memberName(member int) string { return fmt.Sprintf("telemetry-pipeline-etcd-%d", member) }

// port returns the free port that stands for a port of a pod.
func (n *node) port(name, port string) string {
	n.t.Helper()
	key := name + "/" + port
	if n.ports[key] == "" {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			n.t.Fatal(err)
		}
		defer free.Close()
		_, n.ports[key], _ = strings.Cut(free.Addr().String(), ":")
	}
	return n.ports[key]
}

// url returns the address of a port of a daemon, which a variable of its environment names.
func (n *node) url(name, variable string) string {
	n.t.Helper()
	port := environmentOf(n.t, n.objects, "nexus-"+name)[variable]
	return "http://localhost:" + n.port(name, port)
}

// token returns a token of the release's Secret.
func (n *node) token(key string) string {
	n.t.Helper()
	return typed[*corev1.Secret](n.t, n.objects, "Secret/telemetry-pipeline-tokens").StringData[key]
}

// volumeDir returns a directory with the content of a volume.
func (n *node) volumeDir(owner string, v corev1.Volume) string {
	n.t.Helper()
	dir := filepath.Join(n.dir, strings.ReplaceAll(owner, "/", "-"), fmt.Sprint(n.member), v.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.t.Fatal(err)
	}
	files := map[string][]byte{}
	switch {
	case v.Secret != nil:
		s := typed[*corev1.Secret](n.t, n.objects, "Secret/"+v.Secret.SecretName)
		maps.Copy(files, s.Data)
		for name, text := range s.StringData {
			files[name] = []byte(text)
		}
	case v.ConfigMap != nil:
		for name, text := range typed[*corev1.ConfigMap](n.t, n.objects, "ConfigMap/"+v.ConfigMap.Name).Data {
			files[name] = []byte(text)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	return dir
}

// command returns the process of a container: its arguments and variables, with this machine's directories and ports.
func (n *node) command(ctx context.Context, owner, program string, container int) (run func(out io.Writer) *process) {
	n.t.Helper()
	pod := n.pods[owner].Spec
	c := containersOf(pod)[container]
	var pairs []string
	dirs := map[string]string{}
	for _, v := range pod.Volumes {
		dirs[v.Name] = n.volumeDir(owner, v)
	}
	for _, m := range c.VolumeMounts {
		if dirs[m.Name] == "" { // of a claim template
			dirs[m.Name] = n.volumeDir(owner, corev1.Volume{Name: m.Name})
		}
		pairs = append(pairs, m.MountPath, dirs[m.Name])
	}
	pairs = append(pairs, "$(POD_NAME)", memberName(n.member))
	local, network := strings.NewReplacer(pairs...), strings.NewReplacer(n.addresses()...)
	adapt := func(text string) string { return network.Replace(local.Replace(text)) }
	var args, env []string
	for _, a := range c.Args {
		args = append(args, adapt(a))
	}
	for name, value := range n.environment(c) {
		if strings.HasSuffix(name, "PORT") {
			value = n.port(strings.TrimPrefix(c.Name, "nexus-"), value)
		}
		env = append(env, name+"="+adapt(value))
	}
	return func(out io.Writer) *process {
		cmd := programCommand(ctx, n.t, program, env, args...)
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 30 * time.Second
		return &process{cmd.Start, cmd.Wait}
	}
}

// addresses returns the addresses in the cluster, each followed by the one on this machine.
func (n *node) addresses() (pairs []string) {
	n.t.Helper()
	for _, port := range []string{"2379", "2380", "2381"} {
		for member := range members {
			pairs = append(pairs, memberName(member)+".telemetry-pipeline-etcd-headless."+namespace+".svc:"+port, "localhost:"+n.port(memberName(member), port))
		}
		pairs = append(pairs, "0.0.0.0:"+port, "127.0.0.1:"+n.port(memberName(n.member), port))
	}
	return append(pairs,
		"telemetry-pipeline-nexus-streamer."+namespace+".svc:8081", "localhost:"+n.port("streamer", "8081"),
		"telemetry-pipeline-nexus-gateway."+namespace+".svc:8080", "localhost:"+n.port("gateway", "8080"))
}

// process is a program that can be started and waited for.
type process struct{ start, wait func() error }

// environment returns the variables of a container, with the values of Secrets.
func (n *node) environment(c corev1.Container) map[string]string {
	n.t.Helper()
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		maps.Copy(env, typed[*corev1.ConfigMap](n.t, n.objects, "ConfigMap/"+from.ConfigMapRef.Name).Data)
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			ref := e.ValueFrom.SecretKeyRef
			env[e.Name] = typed[*corev1.Secret](n.t, n.objects, "Secret/"+ref.Name).StringData[ref.Key]
		}
	}
	return env
}

// start starts a container that runs until the test ends, and has to end well then.
func (n *node) start(owner, program string, container int) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log, err := os.Create(filepath.Join(n.dir, fmt.Sprint(program, "-", n.member, ".log")))
	if err != nil {
		n.t.Fatal(err)
	}
	p := n.command(ctx, owner, program, container)(log)
	if err := p.start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cancel()
		_ = p.wait() // it ends with the error of the context
		if text, err := os.ReadFile(log.Name()); err == nil && n.t.Failed() {
			n.t.Logf("%s:\n%s", program, text[max(0, len(text)-3000):])
		}
		_ = log.Close()
	})
}

// run runs a container that ends, and returns its output.
func (n *node) run(owner, program string, container int) string {
	n.t.Helper()
	var out bytes.Buffer
	p := n.command(n.t.Context(), owner, program, container)(&out)
	if err := p.start(); err != nil {
		n.t.Fatal(err)
	}
	if err := p.wait(); err != nil {
		n.t.Errorf("%s, container %d: %v\n%s", owner, container, err, out.String())
	}
	return out.String()
}

func (n *node) await(text string, done func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("still not so: %s", text)
		}
	}
}

func (n *node) awaitOK(url, token string) {
	n.t.Helper()
	n.await(url+" answers 200", func() bool { status, _ := n.get(url, token); return status == 200 })
}

// get returns the status and the body of an answer; 0 without one.
func (n *node) get(url, token string) (int, string) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return send(req, token)
}

// upload sends a file as `curl -F file=@sample.csv` does.
func (n *node) upload(url, token, text string) (int, string) {
	n.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "sample.csv")
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, url, &body)
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	return send(req, token)
}

func send(req *http.Request, token string) (int, string) {
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Sprint(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Sprint(err)
	}
	return resp.StatusCode, string(text)
}
