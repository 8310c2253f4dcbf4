package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const page = "# Title\n\nby hand\n\n<!-- generated: history -->\nold\n<!-- end: history -->\n\nmore by hand\n\n<!-- generated: file -->\nkept\n<!-- end: file -->\n"

func TestOnlySectionsOfMeasuredRowsAreReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, documentFile)
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	out := report{Results: []result{{Row: "history", Figures: []figure{{Name: "week", Unit: "ms", Ours: []float64{3}}}, Curves: []curve{{File: "a.svg", Title: "A"}}}}}
	for range 2 { // writing again changes nothing
		if err := out.writeDocument(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(page, "old\n", out.writeSection(&out.Results[0]), 1)
	if string(text) != want {
		t.Errorf("the document is\n%s\nwant\n%s", text, want)
	}
	if _, err := os.Stat(filepath.Join(dir, curvesDir, "a.svg")); err != nil {
		t.Error(err)
	}
}

func TestADocumentWithoutMarksIsNotWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "<!-- generated: history -->\n", "<!-- end: history --><!-- generated: history -->\n"} {
		if _, err := replaceSection(text, "history", "new"); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

func TestEveryRowHasASectionInTheDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", documentFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range rowNames() {
		if _, err := replaceSection(string(text), name, ""); err != nil {
			t.Error(err)
		}
	}
}

func TestDrawingsAreWellFormed(t *testing.T) {
	t.Parallel()
	c := curve{Title: "a < b & c", X: "GPUs", Y: "ms", Lines: []line{
		{Name: "here", X: []float64{100, 1000, 50_000}, Y: []float64{0.02, 3, 400}},
		{Name: "no values", X: []float64{100, 1000, 2000}, Y: []float64{math.NaN(), 0, math.Inf(1)}},
	}}
	text := c.drawSVG()
	in := xml.NewDecoder(strings.NewReader(text))
	circles := 0
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if start, found := token.(xml.StartElement); found && start.Name.Local == "circle" {
			circles++
		}
	}
	if circles != 3 {
		t.Errorf("%d points are drawn, want 3", circles)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Errorf("the drawing has a value that is no number:\n%s", text)
	}
	for _, want := range []string{"a &lt; b &amp; c", ">0.01<", ">1,000<", "50,000: 400"} {
		if !strings.Contains(text, want) {
			t.Errorf("the drawing lacks %q", want)
		}
	}
}

func TestAxesAreLogarithmic(t *testing.T) {
	t.Parallel()
	a := newAxis([]float64{2, 900}, 0, 300)
	for v, want := range map[float64]float64{1: 0, 10: 100, 1000: 300} {
		if got := a.pixel(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g is at %g, want %g", v, got, want)
		}
	}
	if b := newAxis(nil, 0, 10); b.pixel(1) != 0 {
		t.Error("an axis without values is of no use")
	}
}
