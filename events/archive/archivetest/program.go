package archivetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
)

// cached gives a directory below the user's cache that make has filled once, by whichever process came first.
func cached(t testing.TB, name string, make func(ctx context.Context, dir string) error) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		unavailable(t, name, err)
	}
	dir := filepath.Join(base, "telemetry-pipeline", name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		unavailable(t, name, err)
	}
	lock := flock.New(dir + ".lock")
	if err := lock.Lock(); err != nil {
		unavailable(t, name, err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), name+".*.tmp")
	if err != nil {
		unavailable(t, name, err)
	}
	defer os.RemoveAll(made)
	if err := make(t.Context(), made); err != nil {
		unavailable(t, name, err)
	}
	if err := os.Rename(made, dir); err != nil {
		unavailable(t, name, err)
	}
	return dir
}

// unavailable ends a test that cannot have what it needs.
func unavailable(t testing.TB, name string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not to be had: %v", name, err)
	}
	t.Skipf("%s is not to be had, and this test needs it: %v", name, err)
}

// run runs a command; its error has what the command said.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return &commandError{cmd.String(), err, string(out)}
	}
	return nil
}

// commandError is a command that failed.
type commandError struct {
	command string
	cause   error
	output  string
}

func (e *commandError) Error() string { return e.command + ": " + e.cause.Error() + "\n" + e.output }

func (e *commandError) Unwrap() error { return e.cause }
