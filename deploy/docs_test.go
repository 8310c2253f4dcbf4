package deploy

import (
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// In our documents a link whose text is a Go name in backticks and whose target is a Go file says that the
// name is declared in that file: [`Host.Apply`](../projections/apply.go). A method is written with its
// type, or alone; a package's name may stand before it.
var link = regexp.MustCompile("\\[((?:`[^`]*`|[^\\]`])*)\\]\\(([^)\\s]+)\\)")

var goName = regexp.MustCompile("^`([A-Za-z_]\\w*(?:\\.[A-Za-z_]\\w*)?)`$")

// documents returns the paths of README and of all pages below docs.
func documents(t *testing.T) []string {
	t.Helper()
	all := []string{filepath.Join("..", "README.md")}
	err := filepath.WalkDir(filepath.Join("..", "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocumentsLinkToWhatIsThere(t *testing.T) {
	checked := 0
	for _, page := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(withoutBlocks(readText(t, page)), -1) {
			label, target := m[1], m[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "#") {
				continue
			}
			target, _, _ = strings.Cut(target, "#")
			path := filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", page, target)
				continue
			}
			name := goName.FindStringSubmatch(label)
			if name == nil || filepath.Ext(path) != ".go" {
				continue
			}
			checked++
			if !declarations(t, path)[name[1]] {
				t.Errorf("%s: %s does not declare %s", page, target, name[1])
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d links to declarations were found; the walkthrough alone has more", checked)
	}
}

// withoutBlocks leaves out fenced code.
func withoutBlocks(text string) string {
	var out strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		} else if !fenced {
			out.WriteString(line)
		}
	}
	return out.String()
}

// declarations returns the names that a file declares at top level, methods with their type and alone, all also behind the name
// of the package; and that name itself.
func declarations(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{file.Name.Name: true}
	add := func(name string) { names[name], names[file.Name.Name+"."+name] = true, true }
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			add(d.Name.Name)
			if d.Recv != nil {
				names[receiver(d.Recv.List[0].Type)+"."+d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					add(spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						add(name.Name)
					}
				}
			}
		}
	}
	return names
}

// receiver is the name of a method's type.
func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}

func TestDecisionsHaveTheirParts(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "docs", "decisions", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no decisions found: %v", err)
	}
	named := regexp.MustCompile(`^\d{4}-[a-z0-9-]+\.md$`)
	numbers := map[string]string{}
	for _, page := range pages {
		name := filepath.Base(page)
		if !named.MatchString(name) {
			t.Errorf("%s is not named NNNN-title.md", name)
			continue
		}
		if other, taken := numbers[name[:4]]; taken {
			t.Errorf("%s and %s have one number", other, name)
		}
		numbers[name[:4]] = name
		text := readText(t, page)
		for _, part := range []string{"# " + name[:4] + " ", "\n## Context\n", "\n## Decision\n", "\n## Status\n", "\n## Consequences\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %q", name, strings.TrimSpace(part))
			}
		}
	}
}

// block returns the content of the only fenced block of a language in a document.
func block(t *testing.T, text, language string) string {
	t.Helper()
	parts := strings.Split(text, "```"+language+"\n")
	if len(parts) != 2 {
		t.Fatalf("%d blocks of %s, want 1", len(parts)-1, language)
	}
	content, _, _ := strings.Cut(parts[1], "```")
	return content
}

// The example in docs/LOG.md is for people who write readers: it has to be an event, and the key beside it its key.
func TestLogDocumentShowsARealEvent(t *testing.T) {
	text := readText(t, filepath.Join("..", "docs", "LOG.md"))
	value, err := hex.DecodeString(strings.Join(strings.Fields(block(t, text, "hex")), ""))
	if err != nil {
		t.Fatal(err)
	}
	codec, err := events.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	compact, err := codec.Decode(value)
	if err != nil {
		t.Fatalf("the compact example: %v", err)
	}
	fromJSON, err := codec.Decode([]byte(strings.TrimSpace(block(t, text, "json"))))
	if err != nil {
		t.Fatalf("the JSON example: %v", err)
	}
	if diff := cmp.Diff(compact, fromJSON); diff != "" {
		t.Errorf("the two examples differ (-compact +JSON):\n%s", diff)
	}
	key := events.EventKey(eventlog.DefaultClusterID, eventlog.DefaultPartitions, &compact)
	if !strings.Contains(text, "    "+eventlog.DefaultRoot+"/"+key.String()+"\n") {
		t.Errorf("the example's key is %s, which the page does not show", key)
	}
	again, err := codec.Encode(nil, &compact)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := codec.Decode(again); err != nil || !cmp.Equal(compact, back) {
		t.Errorf("encoded again the example is another event: %v", err)
	}
}
