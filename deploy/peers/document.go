package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	documentFile = "PERFORMANCE.md"
	curvesDir    = "performance"
)

// writeDocument replaces the sections of the measured rows in the document, and their curves. Everything else stays.
func (out *report) writeDocument(dir string) error {
	path := filepath.Join(dir, documentFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page := string(text)
	for i := range out.Results {
		w := &out.Results[i]
		if page, err = replaceSection(page, w.Row, out.writeSection(w)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := writeCurves(filepath.Join(dir, curvesDir), w.Curves); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func writeCurves(dir string, curves []curve) error {
	if len(curves) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range curves {
		if err := os.WriteFile(filepath.Join(dir, c.File), []byte(c.drawSVG()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replaceSection replaces the text between the two marks of a row.
func replaceSection(page, row, section string) (string, error) {
	begin, end := "<!-- generated: "+row+" -->\n", "<!-- end: "+row+" -->"
	before, rest, found := strings.Cut(page, begin)
	if !found {
		return "", fmt.Errorf("the line %q is missing", strings.TrimSpace(begin))
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("the line %q is missing behind the other mark", end)
	}
	return before + begin + section + end + after, nil
}
