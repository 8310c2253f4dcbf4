package history

import (
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

var noon = time.Date(2025, 7, 18, 12, 0, 0, 0, time.UTC)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2025-07-18T20:42:34Z":           time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC),
		"2025-07-18t20:42:34z":           time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC),
		"2025-07-18T20:42:34.123456789Z": time.Date(2025, 7, 18, 20, 42, 34, 123456789, time.UTC),
		"2025-07-18T20:42:34+02:00":      time.Date(2025, 7, 18, 18, 42, 34, 0, time.UTC),
		"2025-07-18T20:42:34 02:00":      time.Date(2025, 7, 18, 18, 42, 34, 0, time.UTC),
		"now":                            noon,
		"now-5m":                         noon.Add(-5 * time.Minute),
		"now-2d":                         noon.AddDate(0, 0, -2),
		"now-1w1d2h3m4s":                 noon.Add(-(8*24*time.Hour + 2*time.Hour + 3*time.Minute + 4*time.Second)),
		"now+1h":                         noon.Add(time.Hour),
		"now 1h":                         noon.Add(time.Hour),
		"0":                              time.Unix(0, 0),
		"1752861600":                     time.Unix(1752861600, 0),
		"1752861600.5":                   time.Unix(1752861600, 5e8),
		"1752861600.000000001":           time.Unix(1752861600, 1),
	} {
		got, relative, err := ParseTime(text, noon)
		if err != nil || got != events.TimestampOf(want) || relative != strings.HasPrefix(text, "now") {
			t.Errorf("ParseTime(%q) = %s, %v, %v; want %s", text, got, relative, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "yesterday", "now-", "now-5", "now-m", "now-5y", "now5m", "now--5m", "now-5m-", "now-5.5m", "now-999999999w", "now-9999999999s",
		"2025-07-18", "2025-07-18 20:42:34", "9999-01-01T00:00:00Z", "1600-01-01T00:00:00Z", "1.", ".5", "1.2.3", "1.0000000001", "99999999999",
		"1e9", "-5", "0x10",
	} {
		if got, _, err := ParseTime(text, noon); err == nil {
			t.Errorf("ParseTime(%q) = %s, want an error", text, got)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"now-5m", "2025-07-18T20:42:34Z", "1752861600.5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, relative, err := ParseTime(text, noon)
		if err != nil || relative {
			return
		}
		if again, _, err := ParseTime(at.String(), noon); err != nil || again != at {
			t.Errorf("%q is %s, which is read as %s, %v", text, at, again, err)
		}
	})
}
