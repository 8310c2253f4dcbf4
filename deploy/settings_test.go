package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checkSettings fails unless a program takes these variables and arguments: each variable is a setting of it, and every value
// parses. NAME=value is a variable.
func checkSettings(t *testing.T, where, program string, env, args []string) {
	t.Helper()
	known := variablesOf(t, program, args)
	for _, setting := range env {
		name, _, _ := strings.Cut(setting, "=")
		if !known[name] && name != "GOMEMLIMIT" && !strings.HasPrefix(name, "AWS_") {
			t.Errorf("%s: %s is no variable of %s", where, name, program)
		}
	}
	if said, err := programCommand(t.Context(), t, program, env, append(slices.Clone(args), "-version")...).CombinedOutput(); err != nil {
		t.Errorf("%s: %s does not take its settings: %v\n%s", where, program, err, said)
	}
}

// variablesOf returns the variables that a program reads, or one of its commands if the first argument names it.
func variablesOf(t *testing.T, program string, args []string) map[string]bool {
	t.Helper()
	ask, pattern := []string{"-help-markdown"}, "(?m)^\\| `-[^|]*\\| `([A-Z0-9_]+)` \\|"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		ask, pattern = []string{args[0], "-help"}, `(?m)^  -\S+ \(([A-Z0-9_]+)\)`
	}
	said, err := programCommand(t.Context(), t, program, nil, ask...).Output()
	if err != nil {
		t.Fatalf("asking %s for its settings: %v", program, err)
	}
	names := map[string]bool{}
	for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(said), -1) {
		names[found[1]] = true
	}
	if len(names) < 5 {
		t.Fatalf("found %d variables of %s %q", len(names), program, args)
	}
	return names
}

// programOf returns our program that a path or the name of an image ends with, and whether it is one.
func programOf(path string) (string, bool) {
	name := filepath.Base(path)
	return name, slices.Contains([]string{"ingestd", "collectd", "queryd", "standalone"}, name)
}

// globFiles returns the files that match a pattern; none is a failure.
func globFiles(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.FromSlash(pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files (%v)", pattern, len(files), err)
	}
	return files
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
