package archivetest

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// program is a program that tests use and that is built once: a folder in the user's cache directory.
type program struct {
	name string
	make func(ctx context.Context, dir string) error // fills the folder
}

// fetch builds a program ahead of the tests that need it, unless it is in the cache or none of them will run. It returns
// after the budget at the latest. The tests report a program that was not built by then.
func (p program) fetch(tests []string) {
	if !anySelected(tests) {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), fetchBudget(), fmt.Errorf("not done within %s, a quarter of the tests' -timeout", fetchBudget()))
	defer cancel()
	if _, err := p.ensureDir(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s is missing, and %s with it: %v\n", p.name, strings.Join(tests, ", "), err)
	}
}

// anySelected reports whether the command line of this test binary selects one of tests.
func anySelected(tests []string) bool {
	if !flag.Parsed() {
		flag.Parse()
	}
	if flag.Lookup("test.list").Value.String() != "" {
		return false
	}
	pattern, _, _ := strings.Cut(flag.Lookup("test.run").Value.String(), "/")
	selected, err := regexp.Compile(pattern)
	return err != nil || slices.ContainsFunc(tests, selected.MatchString)
}

// unlimited is the budget of tests that run without a time limit.
const unlimited = 30 * time.Minute

// fetchBudget returns the time that fetching may take: a quarter of the binary's -timeout. The testing package counts that from
// the first test, but the go command, with a minute more, from the start of the process: the tests keep enough of it.
func fetchBudget() time.Duration {
	limit, err := time.ParseDuration(flag.Lookup("test.timeout").Value.String())
	if err != nil || limit == 0 {
		return unlimited
	}
	return limit / 4
}

// cacheDir returns the program's folder, which need not exist.
func (p program) cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "telemetry-pipeline", p.name), nil
}

// ensureDir returns the program's folder, and fills it if no other process has done so before.
func (p program) ensureDir(ctx context.Context) (string, error) {
	dir, err := p.cacheDir()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return "", fmt.Errorf("waiting for another process that makes it: %w", cmp.Or(context.Cause(ctx), err))
	}
	defer lock.Unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	for tries := 1; ; tries++ {
		err := p.fillDir(ctx, dir)
		if err == nil {
			return dir, nil
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if tries == 3 || errors.Is(err, exec.ErrNotFound) { // a registry fails now and then
			return "", err
		}
	}
}

// fillDir builds the folder atomically.
func (p program) fillDir(ctx context.Context, dir string) error {
	made, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	if err := p.make(ctx, made); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// fetchedDir returns the folder of a program that was fetched. It skips a test whose program was not fetched, or fails it
// where CI is set.
func (p program) fetchedDir(t testing.TB) string {
	t.Helper()
	dir, err := p.cacheDir()
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err == nil {
		return dir
	}
	report := t.Skipf
	if os.Getenv("CI") != "" {
		report = t.Fatalf
	}
	report("this test needs %s, which is missing; the reason was printed before the first test, and go test -count=1 tries again: %v", p.name, err)
	return ""
}

// runCommand runs a command; its error has the command's output. Children of a command that was stopped may hold its output open,
// and are waited for only so long.
func runCommand(cmd *exec.Cmd) error {
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
