package main

import (
	"math"
	"strings"
	"testing"
)

func TestNumbersAreReadable(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 0.00123456: "0.00123", 0.5: "0.5", 1: "1", 1.2345: "1.23", 12.345: "12.3", 99.96: "100", 123.4: "123", 43008: "43,008", 1234567: "1,234,567", -1234: "-1,234",
	} {
		if got := formatNumber(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
	if got := formatRatio(math.NaN()); got != "–" {
		t.Errorf("no ratio is written %q", got)
	}
}

func TestBoundsAreJudgedByTheMedians(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		figure  figure
		verdict string
	}{
		{"ratio met", figure{Ours: []float64{2, 2, 90}, Theirs: []float64{1, 1, 1}, Bound: bound{MaxRatio: 2}}, "met"},
		{"ratio missed", figure{Ours: []float64{6}, Theirs: []float64{1}, Bound: bound{MaxRatio: 2}}, "**missed** by 3 ×"},
		{"most missed", figure{Ours: []float64{10}, Theirs: []float64{10}, Bound: bound{MaxRatio: 2, Max: 4}}, "**missed** by 2.5 ×"},
		{"least met", figure{Ours: []float64{9000}, Bound: bound{Min: 8000}}, "met"},
		{"least missed", figure{Ours: []float64{2000}, Bound: bound{Min: 8000}}, "**missed** by 4 ×"},
		{"no bound", figure{Ours: []float64{1}}, ""},
		{"not measured", figure{Bound: bound{Max: 1}}, "**failed**"},
		{"no peer for the ratio", figure{Ours: []float64{1}, Bound: bound{MaxRatio: 2}}, "**missed** by 0 ×"},
	} {
		if got := c.figure.verdict(); got != c.verdict {
			t.Errorf("%s: %q, want %q", c.name, got, c.verdict)
		}
	}
}

func TestTablesHaveALineForEachFigure(t *testing.T) {
	t.Parallel()
	out := report{
		Processors: 2, Versions: []string{"v1"},
		Results: []result{
			{Row: "history", Rounds: 3, Commands: []string{"standalone -x"}, Figures: []figure{{Name: "week", Unit: "ms", Ours: []float64{30, 31, 29}, Theirs: []float64{20, 20, 20}, Bound: bound{MaxRatio: 2}}, {Name: "bytes", Unit: "B", Ours: []float64{7}}}},
			{Row: "cluster", Figures: []figure{{Name: "a|b", Unit: "ms", Ours: []float64{1}, Note: "why"}}, Failure: "broken"},
		},
	}
	text := out.writeTables()
	for _, want := range []string{
		"### history", "| week | ms | 30 | 20 | 1.5 × | ≤ 2 × | met |", "### cluster", `| a\|b (why) | ms | 1 | – | – |  |  |`, "Not wholly measured: broken", "`standalone -x`", "3 rounds", "| bytes [one round] | B | 7 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables lack %q:\n%s", want, text)
		}
	}
}
