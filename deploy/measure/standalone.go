package measure

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Standalone is a running standalone process.
type Standalone struct {
	*Process
	Uploads, Queries, Admin string // addresses, as http://127.0.0.1:PORT
	Data                    string // its data directory
}

// BuildStandalone builds the program into a directory and returns its path.
func BuildStandalone(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "standalone")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "telemetry-pipeline/deploy/standalone").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building standalone: %w\n%s", err, out)
	}
	return binary, nil
}

// StartStandalone starts the program on free ports of the loopback address, on the data and with the log in dir.
func StartStandalone(ctx context.Context, binary, dir string, args ...string) (*Standalone, error) {
	ports, err := FreePorts(3)
	if err != nil {
		return nil, err
	}
	address := func(port int) string { return "http://127.0.0.1:" + strconv.Itoa(port) }
	s := &Standalone{Uploads: address(ports[0]), Queries: address(ports[1]), Admin: address(ports[2]), Data: filepath.Join(dir, "data")}
	client := NewClient(1)
	s.Process, err = Start(ctx, Command{
		Name: "standalone", Program: binary, Args: append([]string{"-data-dir", s.Data}, args...), Log: filepath.Join(dir, "standalone.log"),
		Env: []string{
			"HTTP_HOST=127.0.0.1", "HOST=127.0.0.1", "QUERY_HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1",
			"HTTP_PORT=" + strconv.Itoa(ports[0]), "PORT=" + strconv.Itoa(ports[1]), "ADMIN_PORT=" + strconv.Itoa(ports[2]),
		},
		Ready: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err := client.Get(ctx, s.Admin+"/ready")
			return err
		},
	})
	return s, err
}

// EtcdSize is the size of the embedded etcd's database.
type EtcdSize struct {
	Bytes int64 `json:"bytes"`
	InUse int64 `json:"in_use_bytes"`
}

// EtcdSize returns the size as the upload server reports it.
func (s *Standalone) EtcdSize(ctx context.Context, c *Client) (EtcdSize, error) {
	var status struct {
		Admission struct {
			Size EtcdSize `json:"size"`
		} `json:"admission"`
	}
	err := c.GetJSON(ctx, s.Uploads+"/api/v1/status", &status)
	return status.Admission.Size, err
}
