package archivetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The S3 server: a gateway over a folder, of a fixed version.
const (
	gatewayModule  = "github.com/versity/versitygw/cmd/versitygw"
	gatewayVersion = "v1.8.0"
)

// FetchGateway builds the S3 server, once for all runs, if one of the named tests will run. They are the tests that call
// Gateway, GatewayOver or GatewayProgram; a package calls it in its TestMain, before the tests' time begins.
func FetchGateway(tests ...string) { gatewayProgram().fetch(tests) }

func gatewayProgram() program { return program{"versitygw-" + gatewayVersion, installGateway} }

// installGateway builds with the settings of this build, so that both have the standard library's packages in common.
func installGateway(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "install", gatewayModule+"@"+gatewayVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	cmd.Dir = dir // outside of any module
	return runCommand(cmd)
}

// GatewayProgram returns the path of the S3 server, for tests that start it themselves.
func GatewayProgram(t testing.TB) string {
	t.Helper()
	return filepath.Join(gatewayProgram().fetchedDir(t), "versitygw")
}

// Gateway starts an S3-compatible server with an empty bucket and returns the URL by which archive.Open opens it. It
// sets the AWS credentials of the test's environment and ends with the test.
func Gateway(t testing.TB) string {
	t.Helper()
	return GatewayOver(t, t.TempDir())
}

// GatewayOver is Gateway over a directory, where each object is a file of the same name below archive.
func GatewayOver(t testing.TB, root string) string {
	t.Helper()
	server := GatewayProgram(t)
	sidecar := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "archive"), 0o755); err != nil {
		t.Fatal(err)
	}
	const access, secret = "archivetest", "archivetest-secret"
	address := freeAddress(t)
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, server, "--port", address, "--quiet", "posix", "--sidecar", sidecar, root)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+access, "ROOT_SECRET_KEY="+secret)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
	})
	awaitListener(t, address)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	parameters := url.Values{"region": {"us-east-1"}, "endpoint": {"http://" + address}, "use_path_style": {"true"}}
	return "s3://archive?" + parameters.Encode()
}

// freeAddress returns a free loopback address, with a port below the system's ephemeral range: tests that run beside this
// one could take an ephemeral port before the server does.
func freeAddress(t testing.TB) string {
	t.Helper()
	const from, to = 12000, 32000
	for tries := 0; ; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", from+rand.IntN(to-from)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
		if tries > 100 {
			t.Fatalf("finding a free port between %d and %d: %v", from, to, err)
		}
	}
}

// awaitListener waits until a server listens at an address.
func awaitListener(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close() // it was only opened
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(fmt.Errorf("the S3 server does not listen at %s: %w", address, err))
		}
	}
}
