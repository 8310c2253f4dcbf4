package ingest

import (
	"testing"
	"time"
)

func TestZones(t *testing.T) {
	at := time.Date(2025, 7, 1, 12, 0, 0, 0, time.UTC)
	cases := map[string]int{"UTC": 0, "Europe/Berlin": 7200, "+05:30": 19800, "-08:00": -28800}
	for text, want := range cases {
		zone, err := parseZone(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, got := at.In(zone).Zone(); got != want {
			t.Errorf("%s is %d s from UTC in July, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", "Local", "local time", "../../etc/passwd", "+25:00", "5"} {
		if zone, err := parseZone(text); err == nil {
			t.Errorf("%q is taken for %v", text, zone)
		}
	}
}

func TestBaseName(t *testing.T) {
	cases := map[string]string{
		"a.csv": "a.csv", "/tmp/a.csv": "a.csv", `C:\data\a.csv`: "a.csv", "../../a.csv": "a.csv", "a\nb.csv": "ab.csv",
		"": "", "/": "", "..": "..", "\xff.csv": "\uFFFD.csv",
	}
	for name, want := range cases {
		if got := baseName(name); got != want {
			t.Errorf("baseName(%q) is %q, want %q", name, got, want)
		}
	}
}
