package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// container runs the program of an unpacked image in its own root, as the image's user.
type container struct {
	t     *testing.T
	name  string
	root  string
	image v1.Image
}

func newContainer(t *testing.T, folder, name string) *container {
	t.Helper()
	root, err := os.MkdirTemp("", "img") // a short path: a socket of etcd lies below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil { // the image's user passes through it
		t.Fatal(err)
	}
	c := &container{t: t, name: name, root: root, image: openImage(t, folder, name, runtime.GOARCH)}
	c.unpack()
	return c
}

// unpack writes the files of the image below the root, with their owners and modes.
func (c *container) unpack() {
	c.t.Helper()
	packed := mutate.Extract(c.image)
	defer packed.Close()
	files := tar.NewReader(packed)
	for {
		header, err := files.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			c.t.Fatal(err)
		}
		path := filepath.Join(c.root, filepath.FromSlash(header.Name))
		mode := header.FileInfo().Mode()
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, mode.Perm())
		} else {
			var content []byte
			if content, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, content, mode.Perm())
			}
		}
		if err == nil {
			err = os.Chown(path, header.Uid, header.Gid)
		}
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// command returns a command in the container: chroot, the image's user, and only this environment.
func (c *container) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), "/"+c.name, args...)
	cmd.Env, cmd.Dir = append([]string{"PATH=/", "HOME=/data"}, env...), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root, Credential: &syscall.Credential{Uid: userID, Gid: userID}}
	return cmd
}

// start runs the program until the test ends, which it does by SIGTERM and with exit code 0.
func (c *container) start(env ...string) {
	c.t.Helper()
	cmd := c.command(env)
	cmd.Stdout, cmd.Stderr = c.t.Output(), c.t.Output()
	if err := cmd.Start(); err != nil {
		c.t.Fatalf("starting %s: %v", c.name, err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("%s ended with %v", c.name, err)
		}
	})
}

// checkVersion compares the program's --version and its metric at an admin address with the image's labels.
func (c *container) checkVersion(admin string) {
	c.t.Helper()
	config, err := c.image.ConfigFile()
	if err != nil {
		c.t.Fatal(err)
	}
	version := config.Config.Labels["org.opencontainers.image.version"]
	revision := config.Config.Labels["org.opencontainers.image.revision"][:12]
	said, err := c.command(nil, "--version").CombinedOutput()
	if want := fmt.Sprintf("%s %s (revision %s, ", c.name, version, revision); err != nil || !strings.HasPrefix(string(said), want) {
		c.t.Errorf("--version prints %q (%v), want %q", said, err, want)
	}
	metrics := await(c.t, admin+"/metrics", "build_info{")
	for _, want := range []string{`telemetry_build_info{`, `version="` + version + `"`, `revision="` + revision + `"`} {
		if !strings.Contains(metrics, want) {
			c.t.Errorf("/metrics of %s lacks %s", c.name, want)
		}
	}
}

// serveImages runs all four images. The daemons use the etcd of standalone, through a TCP port; an upload to the image of
// ingestd is read from the image of queryd and from standalone.
func serveImages(t *testing.T, folder string) {
	if os.Getuid() != 0 {
		t.Skip("chroot needs root: run this test as root to see the images start")
	}
	port := freePorts(t, 8)
	at := func(i int) string { return "http://127.0.0.1:" + port[i] }
	alone := newContainer(t, folder, "standalone")
	alone.start("PORT="+port[0], "HTTP_PORT="+port[1], "ADMIN_PORT="+port[2])
	await(t, at(2)+"/ready", `"ready"`)
	etcd := "ETCD_ENDPOINTS=http://" + forward(t, filepath.Join(alone.root, "data", "run", "client"))

	ingestd, collectd, queryd := newContainer(t, folder, "ingestd"), newContainer(t, folder, "collectd"), newContainer(t, folder, "queryd")
	collectd.start(etcd, "ADMIN_PORT="+port[3], "PARTITION_DATA_DIR=/data/collector")
	ingestd.start(etcd, "ADMIN_PORT="+port[4], "HTTP_PORT="+port[5], "UPLOAD_DIR=/data/uploads")
	queryd.start(etcd, "ADMIN_PORT="+port[6], "PORT="+port[7])
	for i, c := range map[int]*container{2: alone, 3: collectd, 4: ingestd, 6: queryd} {
		await(t, at(i)+"/ready", `"ready"`)
		c.checkVersion(at(i))
	}
	for i, uuid := range map[int]string{1: "GPU-of-standalone", 5: "GPU-of-ingestd"} {
		uploadReading(t, at(i), uuid)
		await(t, at(0)+"/api/v1/gpus", uuid)
		await(t, at(7)+"/api/v1/gpus", uuid)
	}
}

func uploadReading(t *testing.T, base, uuid string) {
	t.Helper()
	file := "timestamp,metric_name,gpu_id,uuid,Hostname,value\n" +
		time.Now().UTC().Format(time.RFC3339) + ",DCGM_FI_DEV_GPU_UTIL,0," + uuid + ",node-7,55\n"
	resp, err := http.Post(base+"/api/v1/csv/upload?wait=true", "text/csv", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), `"accepted":1`) {
		t.Fatalf("upload to %s: %d %s (%v)", base, resp.StatusCode, text, err)
	}
}

// await asks until the answer is 200 and contains text, and returns it.
func await(t *testing.T, address, text string) string {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(address)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if last = string(body); err == nil && resp.StatusCode == http.StatusOK && strings.Contains(last, text) {
			return last
		}
	}
	t.Fatalf("%s: no %q within two minutes; last: %.500s", address, text, last)
	return ""
}

// forward serves a Unix socket at a TCP address of this machine until the test ends.
func forward(t *testing.T, socket string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return // closed
			}
			to, err := net.Dial("unix", socket)
			if err != nil {
				from.Close()
				continue
			}
			go func() { defer to.Close(); _, _ = io.Copy(to, from) }()
			go func() { defer from.Close(); _, _ = io.Copy(from, to) }()
		}
	}()
	return ln.Addr().String()
}

// freePorts returns ports that are free now.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, port, err := net.SplitHostPort(ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	return ports
}
