package archivetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The other implementation of Parquet, from the npm registry, of fixed versions.
const (
	hyparquet   = "hyparquet@1.31.5"
	compressors = "hyparquet-compressors@1.1.2"
)

// FetchHyparquet installs the packages, once for all runs, if one of the named tests will run. They are the tests that call
// Hyparquet; a package calls it in its TestMain, before the tests' time begins.
func FetchHyparquet(tests ...string) { hyparquetProgram().fetch(tests) }

func hyparquetProgram() program { return program{hyparquet + "-" + compressors, installPackages} }

func installPackages(ctx context.Context, dir string) error {
	return runCommand(exec.CommandContext(ctx, "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, hyparquet, compressors))
}

// Hyparquet runs a JavaScript module that may import hyparquet and hyparquet-compressors, with arguments, and returns its
// standard output.
func Hyparquet(t testing.TB, script []byte, arguments ...string) []byte {
	t.Helper()
	packages := hyparquetProgram().fetchedDir(t)
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(dir, "script.mjs")
	if err := os.WriteFile(module, script, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{module}, arguments...)...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running a script with %s: %v", hyparquet, err)
	}
	return out
}
