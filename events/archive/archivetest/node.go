package archivetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// FetchNode installs npm packages, each written name@version, once for all runs, if one of the named tests will run. They are
// the tests that call Node with these packages; a package calls it in its TestMain, before the tests' time begins.
func FetchNode(packages []string, tests ...string) { npm(packages).fetch(tests) }

// npm returns the program that is a folder with these packages.
func npm(packages []string) program {
	name := strings.ReplaceAll(strings.Join(packages, "-"), "/", "_")
	return program{name, func(ctx context.Context, dir string) error {
		flags := []string{"install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir}
		return runCommand(exec.CommandContext(ctx, "npm", append(flags, packages...)...))
	}}
}

// Node returns a command that runs a JavaScript module, which may import the npm packages that FetchNode installed.
func Node(ctx context.Context, t testing.TB, packages []string, script []byte, arguments ...string) *exec.Cmd {
	t.Helper()
	installed := npm(packages).fetchedDir(t)
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(dir, "script.mjs")
	if err := os.WriteFile(module, script, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", append([]string{module}, arguments...)...)
	cmd.Stderr = t.Output()
	return cmd
}
