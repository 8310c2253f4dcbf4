package goldentest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a test that records its failures.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// failureOf returns the failure of compareGolden in a directory with one golden file, or "" if there is none.
func failureOf(t *testing.T, content, file string, got []byte) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "form.form1.hex"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	compareGolden(r, file, got)
	return strings.Join(r.failures, "\n")
}

func TestWritten(t *testing.T) {
	stored := bytes.Repeat([]byte{0xab, 1}, 20)
	content := formatGolden("form.form1.hex", stored)
	if want := strings.Repeat("ab01", 16) + "\n" + strings.Repeat("ab01", 4) + "\n"; content != want {
		t.Errorf("content of a golden file:\n got %q\nwant %q", content, want)
	}
	changed := append(bytes.Clone(stored), 7)
	for _, c := range []struct {
		name, file string
		got        []byte
		want       string // expected in the failure
	}{
		{"the same bytes", "form.form1.hex", stored, ""},
		{"changed bytes", "form.form1.hex", changed, "differ"},
		{"a new form without a file", "form.form2.hex", stored, "there is no golden file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			failure := failureOf(t, content, c.file, c.got)
			if c.want == "" && failure != "" || !strings.Contains(failure, c.want) {
				t.Errorf("got failure %q, want one with %q", failure, c.want)
			}
			if c.want != "" && !strings.Contains(failure, formatGolden(c.file, c.got)) {
				t.Errorf("failure without the new bytes: %s", failure)
			}
		})
	}
}
