package deploy

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write docs/CONFIG.md anew")

const configHead = `# Configuration

Every setting is a flag; each falls back to the environment variable beside it. A flag beats its
variable, a variable beats the default, and an empty variable counts as unset. This page is generated
from the flags: run ` + "`go test ./deploy -run TestConfigDocument -update`" + ` after changing one.
`

// commands are built once for the tests of this package.
func commands() map[string]string {
	return map[string]string{
		"ingestd":    "telemetry-pipeline/ingestd",
		"collectd":   "telemetry-pipeline/collectd",
		"queryd":     "telemetry-pipeline/queryd",
		"standalone": "telemetry-pipeline/deploy/standalone",
	}
}

// binaries builds the commands into a directory of the test's.
func binaries(t *testing.T, packages map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	built := map[string]string{}
	for name, pkg := range packages {
		built[name] = filepath.Join(dir, name)
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", built[name], pkg).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
	}
	return built
}

func TestConfigDocumentSaysWhatTheFlagsAre(t *testing.T) {
	built := binaries(t, commands())
	got := bytes.NewBufferString(configHead)
	for _, name := range []string{"ingestd", "collectd", "queryd", "standalone"} {
		out, err := exec.CommandContext(t.Context(), built[name], "-help-markdown").Output()
		if err != nil {
			t.Fatalf("asking %s for its flags: %v", name, err)
		}
		got.WriteString("\n")
		got.Write(out)
	}
	path := filepath.Join("..", "docs", "CONFIG.md")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("docs/CONFIG.md is not what the flags say: run go test ./deploy -run TestConfigDocument -update")
	}
}
