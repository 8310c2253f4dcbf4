package deploy

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// barredWords are the words of the private dialect that the comments of this code were once written in, each with the number
// of times per 10,000 words of comments that it may stand there. The bounds are twice the counts in eleven well-known
// Go codebases; a word that does not occur there is barred.
var barredWords = []struct {
	pattern string
	most    float64
	instead string
}{
	{`gives?`, 2, `"returns", or the verb for the thing done`},
	{`tells?`, 0.8, `"reports whether", "returns", "shows"`},
	{`what`, 10, `the noun: "the stored offset", "the upload's records"`},
	{`told`, 0, `"reported", "sent", "informed"`},
	{`anew`, 0, `"again"`},
	{`what is`, 0, `the noun`},
	{`those of|that of`, 0, `the noun, repeated`},
	{`whoever|whatever`, 0, `"any caller", "any value"`},
	{`gone on with|goes on with`, 0, `"continued", "resumed"`},
}

// leastReturns is how often "returns" stands, at least, in 10,000 words of comments of Go code that is documented as usual.
const leastReturns = 22

// commonNames are one-word names of functions that may stand in any number of places: methods of well-known interfaces,
// and the verbs that mean the same in every package here.
var commonNames = []string{
	"Close", "Error", "Len", "Read", "String", "Unwrap", "Write", // the standard library's interfaces
	"New", "Open", "Run", "Ready", "Flags", "Metrics", "Parse", "main",
}

const (
	mostPlaces       = 8       // of any other one-word name of a function
	mostOneWordNames = 1.0 / 3 // of all functions; the median of those codebases is a quarter
)

// source is one parsed file of the module.
type source struct {
	path string
	file *ast.File
	test bool
}

func parseSources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		all = append(all, source{path, f, strings.HasSuffix(path, "_test.go")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCommentsAreInPlainWords(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`[a-z][a-z'’-]*`)
	returns := regexp.MustCompile(`\breturns\b`)
	words, returned := 0, 0
	found := make([]int, len(barredWords))
	places := make([][]string, len(barredWords))
	patterns := make([]*regexp.Regexp, len(barredWords))
	for i, b := range barredWords {
		patterns[i] = regexp.MustCompile(`\b(` + b.pattern + `)\b`)
	}
	for _, s := range parseSources(t) {
		for _, group := range s.file.Comments {
			text := strings.ToLower(group.Text())
			words += len(word.FindAllString(text, -1))
			returned += len(returns.FindAllString(text, -1))
			for i, p := range patterns {
				if n := len(p.FindAllString(text, -1)); n > 0 {
					found[i] += n
					places[i] = append(places[i], s.path)
				}
			}
		}
	}
	per := func(n int) float64 { return float64(n) * 1e4 / float64(words) }
	for i, b := range barredWords {
		if per(found[i]) > b.most {
			t.Errorf("%q stands %.1f times in 10,000 words of comments, of which %.1f are allowed: write %s. It is in %s",
				b.pattern, per(found[i]), b.most, b.instead, strings.Join(slices.Compact(places[i]), " "))
		}
	}
	if per(returned) < leastReturns {
		t.Errorf(`"returns" stands %.1f times in 10,000 words of comments; in Go code that is documented as usual it is %d and more`, per(returned), leastReturns)
	}
}

func TestFunctionsHaveTellingNames(t *testing.T) {
	t.Parallel()
	places := map[string]int{}
	functions, oneWord := 0, 0
	for _, s := range parseSources(t) {
		for _, d := range s.file.Decls {
			f, isFunction := d.(*ast.FuncDecl)
			if !isFunction || s.test {
				continue
			}
			functions++
			if isOneWord(f.Name.Name) {
				oneWord++
				places[f.Name.Name]++
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(places), func(a, b string) int { return cmp.Or(cmp.Compare(places[b], places[a]), strings.Compare(a, b)) })
	for _, name := range names {
		if places[name] > mostPlaces && !slices.Contains(commonNames, name) {
			t.Errorf("%d functions are called %s, and %d may be: a noun, or a verb with one, says which is meant", places[name], name, mostPlaces)
		}
	}
	if share := float64(oneWord) / float64(functions); share > mostOneWordNames {
		t.Errorf("%.0f %% of the %d functions have a name of one word, and %.0f %% may", 100*share, functions, 100*mostOneWordNames)
	}
}

// TestTextsAreInPlainWords holds the texts that people read, which are documents and the strings of programs, to the words
// that have no place in them.
func TestTextsAreInPlainWords(t *testing.T) {
	t.Parallel()
	barred := regexp.MustCompile(`(?i)\b(tells|told|gives|anew|whoever|whatever|those of|that of|gone on with|goes on with)\b`)
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Concat([]string{"../README.md"}, pages, more) {
		for i, line := range strings.Split(readText(t, path), "\n") {
			if found := barred.FindString(line); found != "" {
				t.Errorf("%s:%d says %q: write the plain word (barredWords names them)", path, i+1, found)
			}
		}
	}
	for _, s := range parseSources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, isLiteral := n.(*ast.BasicLit); isLiteral && lit.Kind == token.STRING {
				if found := barred.FindString(lit.Value); found != "" {
					t.Errorf("%s has a text with %q: %s", s.path, found, lit.Value)
				}
			}
			return true
		})
	}
}

// isOneWord reports whether a name has no capital letter inside.
func isOneWord(name string) bool {
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			return false
		}
	}
	return true
}
