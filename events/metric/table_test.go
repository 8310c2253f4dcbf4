package metric_test

import (
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events/metric"
)

func TestCatalogueUnitsAreKnown(t *testing.T) {
	units := []string{"%", "MiB", "MHz", "W", "°C", "°C left", "mJ", "ns", "MB/s", "B/s", "ratio", "count", "code", "state", "bits", "lanes", "generation"}
	for _, m := range metric.All() {
		if !slices.Contains(units, m.Unit) {
			t.Errorf("%s is in %q, a unit that nothing else knows", m.Name, m.Unit)
		}
	}
}

// TestCatalogueRefuses makes one mistake in the table at a time.
func TestCatalogueRefuses(t *testing.T) {
	text := metric.CatalogueText()
	if err := metric.CheckTable(text); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(text, "\n")
	for _, test := range []struct{ name, old, new, want string }{
		{"another column", "exporter 1", "exporter 2", "columns"},
		{"a cell too few", "\tgauge\tint64", "\tgauge", "cells"},
		{"two lines swapped", lines[1] + lines[2], lines[2] + lines[1], "sorted by name"},
		{"one metric twice", lines[1], lines[1] + lines[1], "sorted by name"},
		{"an alias of two metrics", "\tgputl\t", "\tgputl tmptr\t", "tmptr is a name of"},
		{"an alias that is another metric", "\tgputl\t", "\tgputl fb_free\t", "fb_free is a name of"},
		{"an alias in two units", "\tgputl\t", "\tgputl:ratio gputl\t", "two things"},
		{"a unit that nothing converts", "sm_clock_hertz:Hz", "sm_clock_hertz:rpm", "nothing converts"},
		{"no unit after the colon", "sm_clock_hertz:Hz", "sm_clock_hertz:", "nothing converts"},
		{"an unknown kind", "\tcounter\tint64", "\tcount\tint64", "none of"},
		{"an unknown type", "\tgauge\tdouble", "\tgauge\tfloat", "none of"},
		{"an unknown part", "\tinstance\t", "\tslice\t", "none of"},
		{"an unknown kind of words", "\tpstate\t", "\tstates\t", "none of"},
		{"an id that is no number", "\t203\t", "\tx203\t", "x203"},
		{"a bound that is no number", "\t203\t%\tgauge\tint64\t0\t100\t", "\t203\t%\tgauge\tint64\t0\tmuch\t", "much"},
		{"no unit", "\t203\t%\t", "\t203\t\t", "must not be empty"},
		{"a position in the wide form twice", "memory_utilization\t2", "memory_utilization\t1", "one position"},
		{"a position in the wide form left out", "memory_clock_mhz\t8", "memory_clock_mhz\t9", "has position 8"},
		{"a name in the wide form without a position", "memory_clock_mhz\t8", "memory_clock_mhz\t", "wide form"},
	} {
		changed := strings.Replace(text, test.old, test.new, 1)
		if changed == text {
			t.Errorf("%s: the table has no %q", test.name, test.old)
			continue
		}
		if err := metric.CheckTable(changed); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", test.name, err, test.want)
		}
	}
}
