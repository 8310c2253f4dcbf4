package archivetest

import (
	"context"
	"errors"
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
	for tries := 1; ; tries++ {
		err := fill(t, dir, make)
		if err == nil {
			return dir
		}
		if tries == 3 || errors.Is(err, exec.ErrNotFound) { // a registry stumbles now and then
			unavailable(t, name, err)
		}
		t.Logf("%s, try %d: %v", name, tries, err)
	}
}

// fill makes a directory whole or not at all.
func fill(t testing.TB, dir string, make func(ctx context.Context, dir string) error) error {
	made, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	if err := make(t.Context(), made); err != nil {
		return err
	}
	return os.Rename(made, dir)
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
