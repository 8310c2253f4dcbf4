package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program under test, its address and how it logs.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// launch starts a program with an environment of its own and stops it with the test. The name is the process's in logs.
func launch(t *testing.T, name, program string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), name+".log"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = programCommand(context.Background(), t, program, env, args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is seen in stop and in its log
		out.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("log of %s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return p
}

// stop signals the process and waits for its end; one that does not end is killed and failed.
func (p *process) stop(sig os.Signal) {
	select {
	case <-p.ended:
		return
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Errorf("signalling %s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Errorf("%s did not end a minute after %s", p.name, sig)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// takenPorts are the ports that freePorts has returned: tests run side by side.
var takenPorts sync.Map

// freePorts finds ports that are free now, below the ports that the system hands out to listeners on port 0: tests that run
// beside this one would take one of those before its program does.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	const from, to = 12000, 32000
	var ports []string
	for tries := 0; len(ports) < n; tries++ {
		port := strconv.Itoa(from + rand.IntN(to-from))
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			defer ln.Close()
			if _, taken := takenPorts.LoadOrStore(port, t.Name()); !taken {
				ports = append(ports, port)
			}
		} else if tries > 100*n {
			t.Fatalf("finding %d free ports between %d and %d: %v", n, from, to, err)
		}
	}
	return ports
}

// eventually asks until the answer is right.
func eventually(t *testing.T, what string, right func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	last := ""
	for time.Now().Before(deadline) {
		var ok bool
		if ok, last = right(); ok {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within two minutes; last: %.500s", what, last)
}

func get(address string) (int, string) {
	resp, err := http.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

func isReady(t *testing.T, admin string) {
	t.Helper()
	eventually(t, "readiness of "+admin, func() (bool, string) {
		status, text := get(admin + "/ready")
		return status == http.StatusOK, text
	})
}

// fleetFile is an export of many hosts, so that every partition is likely to have some.
func fleetFile(hosts, second int) []byte {
	var b bytes.Buffer
	b.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	for _, metric := range []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED"} {
		for h := range hosts {
			for g := range 2 {
				fmt.Fprintf(&b, `2025-07-18T20:42:%02dZ,%s,%d,nvidia%d,GPU-%03d-%d,NVIDIA H100 80GB HBM3,host-%03d,,,,%d.%d,"instance=""host-%03d:9400"",job=""dcgm"""`+"\n",
					second, metric, g, g, h, g, h, h+second, g+1, h)
			}
		}
	}
	return b.Bytes()
}

// upload sends a file, waits until it is visible and returns its last revision.
func upload(t *testing.T, base string, content []byte) string {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "export.csv")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/v1/csv/upload?wait=true", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Success  bool
		Error    string
		Accepted int
		Revision string
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || !answer.Success || answer.Accepted != bytes.Count(content, []byte("\n"))-1 {
		t.Fatalf("upload: %d %+v (%v)", resp.StatusCode, answer, err)
	}
	return answer.Revision
}

// dataOf returns the answers of the query API about every GPU and all history, without the parts that depend on the clock.
func dataOf(t *testing.T, base, revision string) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/api/v1/gpus", "/api/v1/hosts", "/api/v1/telemetry?limit=10000"} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		status, text := get(base + path + sep + "wait=" + url.QueryEscape(revision))
		var envelope struct{ Data json.RawMessage }
		if err := json.Unmarshal([]byte(text), &envelope); err != nil || status != http.StatusOK {
			t.Fatalf("GET %s: %d %.300s", path, status, text)
		}
		all.Write(envelope.Data)
	}
	return all.String()
}

// owned is how many partitions a collector says it owns.
func owned(admin string) int {
	_, text := get(admin + "/metrics")
	found := regexp.MustCompile(`(?m)^telemetry_collect_owned_partitions (\d+)`).FindStringSubmatch(text)
	if found == nil {
		return -1
	}
	n, _ := strconv.Atoi(found[1]) // digits, by the expression
	return n
}

// launchEtcd starts a member of etcd alone, at the URLs for clients and for peers, and waits until it serves; with TLS it does not wait,
// as daemons wait themselves.
func launchEtcd(t *testing.T, clients, peers string, more ...string) {
	t.Helper()
	launch(t, "etcd", "etcd", nil, append([]string{"--data-dir", t.TempDir(), "--log-level", "error",
		"--listen-client-urls", clients, "--advertise-client-urls", clients,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default=" + peers}, more...)...)
	if strings.HasPrefix(clients, "https:") {
		return
	}
	eventually(t, "health of etcd", func() (bool, string) {
		status, text := get(clients + "/health")
		return status == http.StatusOK, text
	})
}

// TestDaemonsAsProcessesShareTheWorkAndGiveTheSameResult runs the three daemons as processes against a
// real etcd server, with two collectors, and standalone beside them on the same files.
func TestDaemonsAsProcessesShareTheWorkAndGiveTheSameResult(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 11)
	loopback := func(i int) string { return "http://127.0.0.1:" + port[i] }
	admin := func(i int) []string { return []string{"ADMIN_HOST=127.0.0.1", "ADMIN_PORT=" + port[i]} }

	launchEtcd(t, loopback(0), loopback(1))
	etcd := "ETCD_ENDPOINTS=" + loopback(0)
	first := launch(t, "collectd-1", "collectd", append(admin(2), etcd, "PARTITION_DATA_DIR="+t.TempDir()))
	launch(t, "collectd-2", "collectd", append(admin(3), etcd, "PARTITION_DATA_DIR="+t.TempDir()))
	launch(t, "queryd", "queryd", append(admin(4), etcd, "PORT="+port[5], "QUERY_HOST=127.0.0.1"))
	launch(t, "ingestd", "ingestd", append(admin(6), etcd, "HTTP_PORT="+port[7], "HTTP_HOST=127.0.0.1", "UPLOAD_DIR="+t.TempDir()))
	launch(t, "standalone", "standalone", append(admin(8), "HTTP_PORT="+port[9], "HTTP_HOST=127.0.0.1",
		"PORT="+port[10], "QUERY_HOST=127.0.0.1", "DATA_DIR="+t.TempDir()))
	for _, i := range []int{2, 3, 4, 6, 8} {
		isReady(t, loopback(i))
	}
	eventually(t, "sharing of the partitions", func() (bool, string) {
		a, b := owned(loopback(2)), owned(loopback(3))
		return a >= 16 && b >= 16 && a+b == 64, fmt.Sprint(a, " and ", b)
	})

	file := fleetFile(120, 34)
	revision, alone := upload(t, loopback(7), file), upload(t, loopback(9), file)
	want := dataOf(t, loopback(10), alone)
	if got := dataOf(t, loopback(5), revision); got != want {
		t.Errorf("daemons and standalone differ:\n%.300s\n%.300s", got, want)
	}

	first.stop(syscall.SIGTERM) // its partitions go to the other one
	later := fleetFile(120, 39)
	revision, alone = upload(t, loopback(7), later), upload(t, loopback(9), later)
	eventually(t, "the remaining collector owns all partitions, also those without any of the hosts", func() (bool, string) {
		n := owned(loopback(3))
		return n == 64, fmt.Sprint(n)
	})
	if got, want := dataOf(t, loopback(5), revision), dataOf(t, loopback(10), alone); got != want {
		t.Error("daemons and standalone differ after a collector left")
	}
}

// TestStandaloneThatWasKilledFoldsAgainWithoutWaitingForItsLease: the dead process's lease lives for ten minutes, and an
// upload that waits is answered 202 after one.
func TestStandaloneThatWasKilledFoldsAgainWithoutWaitingForItsLease(t *testing.T) {
	t.Parallel()
	port, dir := freePorts(t, 3), t.TempDir()
	start := func() *process {
		p := launch(t, "standalone", "standalone", []string{"DATA_DIR=" + dir, "INGEST_WAIT_TIMEOUT=1m", "PARTITION_LEASE_TTL=10m",
			"HTTP_PORT=" + port[0], "PORT=" + port[1], "ADMIN_PORT=" + port[2],
			"HTTP_HOST=127.0.0.1", "QUERY_HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1"})
		isReady(t, "http://127.0.0.1:"+port[2])
		return p
	}
	first := start()
	upload(t, "http://127.0.0.1:"+port[0], fleetFile(70, 1))
	first.stop(syscall.SIGKILL)
	start()
	upload(t, "http://127.0.0.1:"+port[0], fleetFile(70, 2)) // has hosts of every partition, or nearly
}

func TestATakenPortIsAClearError(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	for _, variable := range []string{"HTTP_PORT", "PORT", "ADMIN_PORT"} {
		t.Run(variable, func(t *testing.T) {
			env := []string{"DATA_DIR=" + t.TempDir(), "HTTP_PORT=0", "PORT=0", "ADMIN_PORT=0",
				"HTTP_HOST=127.0.0.1", "QUERY_HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1", variable + "=" + port}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := programCommand(ctx, t, "standalone", env).CombinedOutput()
			if err == nil || ctx.Err() != nil || !strings.Contains(string(out), variable) || !strings.Contains(string(out), port) {
				t.Errorf("ended with %v, and said %.1000s; want an error that names %s and port %s", err, out, variable, port)
			}
		})
	}
}
