package collect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"telemetry-pipeline/projections/snapshot"
)

// reasonConstants returns the reasons that this package declares: the constants of the declaration in quarantine.go
// whose comment begins with "The reasons".
func reasonConstants(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "quarantine.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST || !strings.HasPrefix(g.Doc.Text(), "The reasons") {
			continue
		}
		for _, spec := range g.Specs {
			for _, v := range spec.(*ast.ValueSpec).Values {
				text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, text)
			}
		}
	}
	return reasons
}

// The runbook has a row for every reason that an entry can have, and no other; the description of the API explains the
// same ones.
func TestTheRunbookHasEveryReason(t *testing.T) {
	reasons := append(reasonConstants(t), snapshot.UnknownReason)
	if len(reasons) < 7 {
		t.Fatalf("found the reasons %v", reasons)
	}
	slices.Sort(reasons)
	documented := func(path, pattern string) []string {
		text, err := os.ReadFile(filepath.Join("..", "..", path))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	for path, pattern := range map[string]string{
		"docs/runbooks/quarantine.md": "(?m)^\\| `([a-z_]+)`",
		"queryd/rest/openapi.yaml":    "`(" + strings.Join(reasons, "|") + ")`:",
	} {
		if got := documented(path, pattern); !slices.Equal(got, reasons) {
			t.Errorf("%s has the reasons %v, want %v", path, got, reasons)
		}
	}
}
