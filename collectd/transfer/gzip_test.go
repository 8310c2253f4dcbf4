package transfer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func compress(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPackedExportsAreImported(t *testing.T) {
	c := newCluster(t, "here", 4)
	c.appendSample(t)
	lines := strings.SplitAfter(c.export(t, Config{}), "\n")
	all := c.allEvents(t)
	half := len(lines) / 2
	whole := append(compress(t, strings.Join(lines[:half], "")), compress(t, strings.Join(lines[half:], ""))...) // as cat joins files
	other := newCluster(t, "there", 4)
	if got := other.importText(t, string(whole)); got.Created != len(all) || got.Bad != 0 {
		t.Errorf("got %+v, want %d created", got, len(all))
	}
	sameEvents(t, all, other.allEvents(t))
	_, err := newCluster(t, "third", 4).importer().Files(t.Context(), []string{"-"}, bytes.NewReader(whole[:len(whole)-100]), io.Discard)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a file: %v, want %v", err, io.ErrUnexpectedEOF)
	}
	for _, short := range []string{"", "\n", "\x1f"} {
		if got, err := other.importer().Files(t.Context(), []string{"-"}, strings.NewReader(short), io.Discard); got.Created != 0 || short != "\x1f" && err != nil {
			t.Errorf("%q: %+v, %v", short, got, err)
		}
	}
}
