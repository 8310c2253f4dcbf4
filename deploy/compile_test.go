package deploy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// compilers are the functions that tests may use to compile a program, each with the reason. A program compiled within a
// test is compiled on the test's time, which on a cold cache and a busy machine is longer than all tests may take.
// Tests that need a program of ours run their own binary again: see programCommand.
func compilers() map[string]string {
	return map[string]string{
		"events/archive/archivetest/gateway.go: installGateway": "the S3 server is another module's program; it is built before the tests' time begins, with a time limit of its own, and kept",
	}
}

func TestNoTestCompilesAProgram(t *testing.T) {
	t.Parallel()
	allowed, used := compilers(), map[string]bool{}
	for _, path := range testSources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, function := range compilingFunctions(file) {
			name := path + ": " + function
			if used[name] = true; allowed[name] == "" {
				t.Errorf("%s compiles a program on a test's time: run the test binary itself as the program, as deploy/main_test.go does", name)
			}
		}
	}
	for name := range allowed {
		if !used[name] {
			t.Errorf("%s compiles nothing: take it from the list", name)
		}
	}
}

// testSources returns the paths, from the module's root, of all test files and of the packages that support tests, whose
// names end with "test".
func testSources(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		path, err = filepath.Rel("..", path)
		path = filepath.ToSlash(path)
		supports := slices.ContainsFunc(strings.Split(path, "/"), func(folder string) bool { return strings.HasSuffix(folder, "test") })
		if supports || strings.HasSuffix(path, "_test.go") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// compilingFunctions returns the names of the functions of a file that start the go command to compile something.
func compilingFunctions(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		name := "a declaration"
		if f, ok := d.(*ast.FuncDecl); ok {
			name = f.Name.Name
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && isCompilation(call) {
				names = append(names, name)
			}
			return true
		})
	}
	return names
}

// isCompilation reports whether a call makes a command that is "go build" or another that compiles.
func isCompilation(call *ast.CallExpr) bool {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || function.Sel.Name != "Command" && function.Sel.Name != "CommandContext" {
		return false
	}
	var words []string
	for _, argument := range call.Args {
		ast.Inspect(argument, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				word, err := strconv.Unquote(literal.Value)
				words = append(words, word)
				return err == nil
			}
			return true
		})
	}
	for i := 1; i < len(words); i++ {
		if words[i-1] == "go" && slices.Contains([]string{"build", "install", "run", "test"}, words[i]) {
			return true
		}
	}
	return false
}

func TestCompilingFunctionsAreFound(t *testing.T) {
	for call, want := range map[string]bool{
		`exec.Command("go", "build", "-o", path)`:                              true,
		`exec.CommandContext(ctx, "go", "install", module + "@" + version)`:    true,
		`exec.CommandContext(ctx, "go", "run", ".")`:                           true,
		`exec.Command("go", append([]string{"test", "-c"}, packages...)...)`:   true,
		`exec.CommandContext(ctx, "go", "list", "-m", "build")`:                false,
		`exec.Command("npm", "install")`:                                       false,
		`exec.Command(os.Args[0], "run")`:                                      false,
		`programCommand(ctx, t, "standalone", nil, "-data-dir", "go build x")`: false,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", fmt.Sprintf("package x\nfunc start() { %s }", call), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Equal(compilingFunctions(file), []string{"start"}); got != want {
			t.Errorf("%s: found %v, want %v", call, got, want)
		}
	}
}
