package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// writeTables writes the report in Markdown: a section for each row.
func (out *report) writeTables() string {
	var b strings.Builder
	for i := range out.Results {
		fmt.Fprintf(&b, "\n### %s\n\n%s", out.Results[i].Row, out.writeSection(&out.Results[i]))
	}
	return b.String()
}

// writeSection writes the result of one row: its table, its curves, and how it was measured.
func (out *report) writeSection(w *result) string {
	var b strings.Builder
	b.WriteString("| work | unit | here | peer | ratio | must be | |\n|---|---|---:|---:|---:|---|---|\n")
	for i := range w.Figures {
		b.WriteString(w.Figures[i].tableLine(w.Rounds))
	}
	for _, c := range w.Curves {
		fmt.Fprintf(&b, "\n![%s](%s/%s)\n", c.Title, curvesDir, c.File)
	}
	if w.Failure != "" {
		fmt.Fprintf(&b, "\nNot wholly measured: %s\n", w.Failure)
	}
	fmt.Fprintf(&b, "\nMeasured on %s in %s, %s, with %d processors for servers and senders", w.At.Format("2006-01-02"), countRounds(w.Rounds), w.Took.Round(time.Second), out.Processors)
	if out.Quick {
		b.WriteString(", at the reduced sizes of `-quick`")
	}
	fmt.Fprintf(&b, ", beside %s; started as `%s`.\n", strings.Join(out.Versions, " and "), strings.Join(w.Commands, "`, `"))
	return b.String()
}

func countRounds(n int) string {
	if n == 1 {
		return "one round"
	}
	return strconv.Itoa(n) + " rounds"
}

// tableLine returns the figure's line in the table of a row of so many rounds.
func (f *figure) tableLine(rounds int) string {
	name := f.Name
	if n := len(f.Ours); n > 0 && n < rounds {
		name += " [" + countRounds(n) + "]"
	}
	if f.Note != "" {
		name += " (" + f.Note + ")"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", strings.ReplaceAll(name, "|", "\\|"), f.Unit,
		formatNumber(f.median()), formatNumber(f.peerMedian()), formatRatio(f.ratio()), f.Bound, f.verdict())
}

// verdict returns "met", or the factor by which the bound is missed; "" without a bound.
func (f *figure) verdict() string {
	switch {
	case f.Bound == bound{}:
		return ""
	case f.meetsBound():
		return "met"
	case len(f.Ours) == 0:
		return "**failed**"
	}
	return "**missed** by " + formatRatio(f.missedBy())
}

// oneLine returns the figure for the progress on a terminal.
func (f *figure) oneLine() string {
	text := fmt.Sprintf("%s: %s %s", f.Name, formatNumber(f.median()), f.Unit)
	if len(f.Theirs) > 0 {
		text += fmt.Sprintf(", peer %s, ratio %s", formatNumber(f.peerMedian()), formatRatio(f.ratio()))
	}
	if f.Note != "" {
		text += " (" + f.Note + ")"
	}
	return text
}

// String returns the conditions as a table shows them.
func (b bound) String() string {
	var all []string
	add := func(sign string, value float64, format func(float64) string) {
		if value != 0 {
			all = append(all, sign+" "+format(value))
		}
	}
	add("≤", b.Max, formatNumber)
	add("≥", b.Min, formatNumber)
	add("≤", b.MaxRatio, formatRatio)
	add("≥", b.MinRatio, formatRatio)
	return strings.Join(all, ", ")
}

// formatNumber writes three significant digits, and whole numbers from a hundred on; "–" for a missing value.
func formatNumber(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	if math.Abs(v) >= 100 || v == 0 {
		return groupThousands(strconv.FormatFloat(v, 'f', 0, 64))
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// formatRatio writes a factor.
func formatRatio(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return formatNumber(v) + " ×"
}

// groupThousands puts a comma between groups of three digits.
func groupThousands(digits string) string {
	sign, digits := strings.TrimRight(digits, "0123456789"), strings.TrimLeft(digits, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
