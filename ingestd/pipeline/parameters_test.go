package pipeline

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/intake"
)

func TestZones(t *testing.T) {
	at := time.Date(2025, 7, 1, 12, 0, 0, 0, time.UTC)
	cases := map[string]int{"UTC": 0, "Europe/Berlin": 7200, "+05:30": 19800, "-08:00": -28800}
	for text, want := range cases {
		zone, err := ParseZone(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, got := at.In(zone).Zone(); got != want {
			t.Errorf("%s is %d s from UTC in July, want %d", text, got, want)
		}
	}
	for _, text := range []string{"", "Local", "local time", "../../etc/passwd", "+25:00", "5"} {
		if zone, err := ParseZone(text); err == nil {
			t.Errorf("%q is taken for %v", text, zone)
		}
	}
}

func TestDialectParameters(t *testing.T) {
	now := time.Date(2025, 7, 19, 0, 0, 0, 0, time.UTC)
	p, err := ParseParameters(map[string]string{
		"columns": "timestamp, index,utilization.gpu", "metric": " DCGM_FI_DEV_GPU_TEMP ", "ts": "1752871354",
		"start": "2025-07-18T22:42:34+02:00", "interval": "500ms", "exporter_version": "4.5.3-4.8.2", "host": "n1",
	}, "UTC", now)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	want := dialect.Options{
		Zone: time.UTC, Now: now, Host: "n1", Columns: []string{"timestamp", "index", "utilization.gpu"},
		Metric: "DCGM_FI_DEV_GPU_TEMP", At: at, Start: at, Interval: 500 * time.Millisecond, Exporter: "4.5.3-4.8.2",
	}
	p.Options.At, p.Options.Start = p.Options.At.UTC(), p.Options.Start.UTC()
	if !reflect.DeepEqual(p.Options, want) {
		t.Errorf("got %+v, want %+v", p.Options, want)
	}
	for query, why := range map[string]string{
		"columns=index,,name":             "has no name",
		"metric=a\x01":                    "control characters",
		"ts=yesterday":                    "can be read for certain",
		"ts=2025-07-18 20:42:34":          "names no zone",
		"start=2025-07-18T20:42:34 02:00": "%2B",
		"start=2035-07-18T20:42:34Z":      "ahead of the receiver",
		"interval=0s":                     "no span of time",
		"interval=5":                      "no span of time",
		"exporter_version=latest":         "no version",
		"colums=a":                        "known are",
	} {
		name, text, _ := strings.Cut(query, "=")
		_, err := ParseParameters(map[string]string{name: text}, "UTC", now)
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "query parameter "+name) {
			t.Errorf("%s: got %v, want a refusal with %q", query, err, why)
		}
	}
}

func TestSwitches(t *testing.T) {
	for query, want := range map[string]bool{"strict": true, "strict=": true, "strict=1": true, "strict=true": true, "strict=false": false, "": false} {
		queries, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		texts := map[string]string{}
		for name := range queries {
			texts[name] = queries.Get(name)
		}
		if p, err := ParseParameters(texts, "UTC", time.Now()); err != nil || p.Strict != want || p.Async || p.DryRun || p.Wait {
			t.Errorf("?%s: got %+v, %v; want strict to be %v and nothing else set", query, p, err, want)
		}
	}
	if _, err := ParseParameters(map[string]string{"strict": "maybe"}, "UTC", time.Now()); err == nil {
		t.Error("strict=maybe is taken")
	}
}

func TestNamesOfFilesStayText(t *testing.T) {
	for name, want := range map[string]string{
		"a.csv": "a.csv", `C:\logs\b.csv`: "b.csv", "../../etc/passwd": "passwd", "x\x00\r\ny": "xy", "..": "..", "/": "", "\xff.csv": "\uFFFD.csv",
		strings.Repeat("日", 200): strings.Repeat("日", 85), "a" + strings.Repeat("日", 200): "a" + strings.Repeat("日", 84),
	} {
		if got := intake.BaseName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}
