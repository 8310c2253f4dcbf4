package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// server is a standalone process.
type server struct {
	cmd                     *exec.Cmd
	uploads, queries, admin string // addresses
	data                    string
	exited                  chan error
}

// startServer builds and starts the program, and waits until it is ready.
func startServer(ctx context.Context, dir string) (*server, error) {
	binary := filepath.Join(dir, "standalone")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "telemetry-pipeline/deploy/standalone").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building standalone: %w\n%s", err, out)
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "standalone.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	s := &server{data: filepath.Join(dir, "data"), exited: make(chan error, 1)}
	s.cmd = exec.Command(binary, "-data-dir", s.data)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	address := func(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }
	s.uploads, s.queries, s.admin = address(ports[0]), address(ports[1]), address(ports[2])
	s.cmd.Env = append(os.Environ(), "HTTP_HOST=127.0.0.1", "HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1",
		"HTTP_PORT="+strconv.Itoa(ports[0]), "PORT="+strconv.Itoa(ports[1]), "ADMIN_PORT="+strconv.Itoa(ports[2]))
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { s.exited <- s.cmd.Wait() }()
	return s, s.awaitReady(ctx)
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if err := getJSON(ctx, s.admin+"/ready", nil); err == nil {
			return nil
		} else if ctx.Err() != nil {
			return fmt.Errorf("waiting for standalone to be ready: %w", err)
		}
		select {
		case err := <-s.exited:
			return fmt.Errorf("standalone ended: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stopServer ends the process in order.
func (s *server) stopServer() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-s.exited:
		return err
	case <-time.After(time.Minute):
		return fmt.Errorf("standalone did not stop in a minute: %w", s.cmd.Process.Kill())
	}
}

// memoryBytes returns the resident memory of the process, in bytes.
func (s *server) memoryBytes() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(text), &total, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}

func freePorts(n int) (ports []int, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// getJSON asks for JSON. A nil into only wants to know that the answer is 200.
func getJSON(ctx context.Context, url string, into any) error {
	text, err := fetchBody(ctx, url)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// fetchBody returns the body of an answer that is 200.
func fetchBody(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.300s", url, resp.Status, text)
	}
	return text, nil
}
