package deploy

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write docs/CONFIG.md again")

const configHead = `# Configuration

Every setting is a flag; each falls back to the environment variable beside it. A flag beats its
variable, a variable beats the default, and an empty variable counts as unset. This page is generated
from the flags: run ` + "`go test ./deploy -run TestConfigDocument -update`" + ` after changing one.
`

func TestConfigDocumentSaysWhatTheFlagsAre(t *testing.T) {
	t.Parallel()
	got := bytes.NewBufferString(configHead)
	for _, name := range []string{"ingestd", "collectd", "queryd", "standalone"} {
		out, err := programCommand(t.Context(), t, name, nil, "-help-markdown").Output()
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
