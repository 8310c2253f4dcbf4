// Package goldentest compares stored forms with golden files. A golden file holds bytes that some version of the
// program stored. No test writes one: when an encoder changes, the old file stays, and the new bytes go to a new file
// beside it under a new form number.
//
// Golden files are in testdata/golden of the package that owns the form. A file named *.hex holds hexadecimal digits
// in lines of 64; any other file holds the text itself and a final newline.
package goldentest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	dir     = "testdata/golden"
	columns = 64
)

const advice = `Bytes of this form are stored in data directories and must stay readable. If the change is meant, give the form a new number
(or snapshot.ModelVersion a new value), keep reading the old number, and add a new golden file beside the old one.
Never edit or remove an old golden file.`

// CheckWritten fails the test unless got is the content of the golden file with that name and form number: name.form1.hex,
// or name.form1.txt for a text form. got must be the encoding of a model in the test. The failure prints the content
// for a new file.
func CheckWritten(t testing.TB, name string, form int, got []byte) {
	t.Helper()
	compareGolden(t, fmt.Sprintf("%s.form%d.hex", name, form), got)
}

// CheckWrittenText is CheckWritten for a text form.
func CheckWrittenText(t testing.TB, name string, form int, got string) {
	t.Helper()
	compareGolden(t, fmt.Sprintf("%s.form%d.txt", name, form), []byte(got))
}

func compareGolden(t testing.TB, file string, got []byte) {
	t.Helper()
	want, err := readGolden(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.Errorf("there is no golden file %s/%s for the bytes stored now.\n%s\nContent of the new file:\n%s", dir, file, advice, formatGolden(file, got))
	case err != nil:
		t.Errorf("reading the golden file: %v", err)
	case !bytes.Equal(got, want):
		t.Errorf("the bytes stored now differ from golden file %s/%s.\n%s\nContent of the new file:\n%s", dir, file, advice, formatGolden(file, got))
	}
}

// CheckReadable fails the test unless parse returns, for every golden file of a kind, the model of the same name. The
// files of a kind are kind.form1 and kind-anything.form1, and so on up to the newest form number. Each number must
// have a file, and the newest one a file of every model.
func CheckReadable[M any](t *testing.T, kind string, newest int, models map[string]M, parse func([]byte) (M, error), opts ...cmp.Option) {
	t.Helper()
	CheckReadableFrom(t, kind, 1, newest, models, parse, opts...)
}

// CheckReadableFrom is CheckReadable for a kind whose forms before oldest are of earlier versions of the models, and are
// not read any more.
func CheckReadableFrom[M any](t *testing.T, kind string, oldest, newest int, models map[string]M, parse func([]byte) (M, error), opts ...cmp.Option) {
	t.Helper()
	for form := oldest; form <= newest; form++ {
		var files []string
		for _, pattern := range []string{"%s.form%d.*", "%s-*.form%d.*"} {
			found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf(pattern, kind, form)))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
		if len(files) == 0 {
			t.Errorf("no golden file of %s form %d in %s.\n%s", kind, form, dir, advice)
		}
		seen := map[string]bool{}
		for _, path := range files {
			file := filepath.Base(path)
			name, _, _ := strings.Cut(file, ".")
			seen[name] = true
			stored, err := readGolden(file)
			if err != nil {
				t.Errorf("reading the golden file: %v", err)
				continue
			}
			want, known := models[name]
			if !known {
				t.Errorf("golden file %s/%s has no model in the test", dir, file)
			}
			if got, err := parse(stored); err != nil || !cmp.Equal(got, want, append(opts, cmpopts.EquateEmpty())...) {
				t.Errorf("golden file %s/%s is not read as it was written (error: %v).\n%s\n got %+v\nwant %+v", dir, file, err, advice, got, want)
			}
		}
		for name := range models {
			if form == newest && !seen[name] {
				t.Errorf("no golden file %s/%s.form%d", dir, name, form)
			}
		}
	}
}

// Read returns the bytes of a golden file.
func Read(t testing.TB, name string, form int) []byte {
	t.Helper()
	stored, err := readGolden(fmt.Sprintf("%s.form%d.hex", name, form))
	if err != nil {
		t.Fatalf("reading the golden file: %v", err)
	}
	return stored
}

func readGolden(file string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(file, ".hex") {
		return bytes.TrimSuffix(text, []byte("\n")), nil
	}
	return hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
}

// formatGolden returns the content of a golden file for the stored bytes.
func formatGolden(file string, stored []byte) string {
	if !strings.HasSuffix(file, ".hex") {
		return string(stored) + "\n"
	}
	var b strings.Builder
	for line := range slices.Chunk([]byte(hex.EncodeToString(stored)), columns) {
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.String()
}
