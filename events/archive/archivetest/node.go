package archivetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Node returns a command that runs a JavaScript module, which may import the npm packages, each written name@version. The
// packages come from the npm registry and are kept in the user's cache directory.
func Node(ctx context.Context, t testing.TB, packages []string, script []byte, arguments ...string) *exec.Cmd {
	t.Helper()
	installed := cached(t, strings.ReplaceAll(strings.Join(packages, "-"), "/", "_"), func(ctx context.Context, dir string) error {
		flags := []string{"install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir}
		return run(exec.CommandContext(ctx, "npm", append(flags, packages...)...))
	})
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
