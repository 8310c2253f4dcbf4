package dialect_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/dialect"
)

func TestClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct{ zone, text, want string }{
		{"UTC", "2025-07-18T20:42:34Z", "2025-07-18T20:42:34Z"},
		{"UTC", " 2025-07-18T20:42:34Z ", "2025-07-18T20:42:34Z"},
		{"UTC", "2024-02-29T23:59:59.999999999Z", "2024-02-29T23:59:59.999999999Z"},
		{"UTC", "2025-07-18T20:42:34.1234567891Z", "2025-07-18T20:42:34.123456789Z"},
		{"UTC", "2025-07-18T00:12:34-23:59", "2025-07-19T00:11:34Z"},
		{"UTC", "2010-01-01T00:00:00Z", "2010-01-01T00:00:00Z"},
		{"UTC", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z"},
		{"UTC", "1262304000", "2010-01-01T00:00:00Z"},
		{"UTC", "1752871354.0000000009", "2025-07-18T20:42:34Z"},
		{"Asia/Kolkata", "2025-07-18 20:42:34", "2025-07-18T15:12:34Z assumed"},
		{"America/Los_Angeles", "2025/07/18 13:42:34.5", "2025-07-18T20:42:34.5Z assumed"},
		{"America/Los_Angeles", "2025-11-02T01:30:00", "2025-11-02T08:30:00Z assumed twice"},
		{"America/Los_Angeles", "2025-11-02 02:00:00", "2025-11-02T10:00:00Z assumed"},
		{"America/Los_Angeles", "2025-03-09 01:59:59", "2025-03-09T09:59:59Z assumed"},
		{"America/Los_Angeles", "2025-03-09 02:00:00", "set forward"},
		{"America/Los_Angeles", "2025-03-09 03:00:00", "2025-03-09T10:00:00Z assumed"},
		{"Australia/Lord_Howe", "2025-04-06 01:45:00", "2025-04-05T14:45:00Z assumed twice"},
		{"Pacific/Apia", "2011-12-30 12:00:00", "set forward"},
		{"UTC", "2025-07-18 20:42:34+02", "its zone"},
		{"UTC", "2025-07-18 20:42:34+0200", "its zone"},
		{"UTC", "2025-07-18 20:42:34+24:00", "its zone"},
		{"UTC", "2025-07-18 20:42:34 PST", "its zone"},
		{"UTC", "2025-07-18 20:42:34.", "not a time"},
		{"UTC", "2025-07-18 20:42:60Z", "no such day or hour"},
		{"UTC", "2025-02-29 20:42:30", "no such day or hour"},
		{"UTC", "2025-00-10 20:42:30", "no such day or hour"},
		{"UTC", "2025-07/18 20:42:30", "not a time"},
		{"UTC", "2025-07-18 20:42", "not a time"},
		{"UTC", "07/18/2025 20:42:34", "not a time"},
		{"UTC", "18.07.2025 20:42:34", "not a time"},
		{"UTC", "Jul 18 20:42:34", "not a time"},
		{"UTC", "", "no time"},
		{"UTC", "2009-12-31T23:59:59Z", "before 2010"},
		{"UTC", "0001-01-01T00:00:00Z", "before 2010"},
		{"UTC", "-1", "before 2010"},
		{"UTC", "0", "before 2010"},
		{"UTC", "9999-12-31T23:59:59Z", "ahead of the receiver"},
		{"UTC", "2026-03-02T12:00:01Z", "ahead of the receiver's 2026-03-01T12:00:00Z"},
		{"UTC", "1e300", "not a time"},
		{"Pacific/Apia", "2011-12-30 12:00:00", "write it with its zone, or say with tz which zone is meant"},
		{"UTC", "2026-03-02 20:00:00", "a clock wrong? It names no zone and was read in UTC; say with tz which zone is meant"},
		{"UTC", "1752871354123.5", "no fraction"},
	} {
		zone, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		clock := dialect.NewClock(dialect.Options{Zone: zone, Now: now})
		for range 2 { // the second time from the cache
			instant, err := clock.Read([]byte(test.text))
			got := instant.At.String()
			if instant.ZoneAssumed {
				got += " assumed"
			}
			if instant.Twice {
				got += " twice"
			}
			if err != nil {
				got = err.Error()
			}
			if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
				t.Errorf("%q in %s: got %q, want %q", test.text, test.zone, got, test.want)
			}
		}
	}
}

// TestClockOffersNoZoneWhereNoneMends checks that a time that is years ahead is not blamed on its zone.
func TestClockOffersNoZoneWhereNoneMends(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, text := range []string{"2027-03-02 20:00:00", "2026-03-02T20:00:00Z", "2009-03-02 20:00:00"} {
		_, err := dialect.NewClock(dialect.Options{Now: now}).Read([]byte(text))
		if err == nil || strings.Contains(err.Error(), "with tz") {
			t.Errorf("%s: got %v, want it refused without another zone offered", text, err)
		}
	}
}

func TestClockWithoutReceiver(t *testing.T) {
	clock := dialect.NewClock(dialect.Options{})
	if got, err := clock.Read([]byte("2262-01-01T00:00:00Z")); err != nil || got.At.String() != "2262-01-01T00:00:00Z" {
		t.Errorf("got %v, %v; want the last year that there is", got.At, err)
	}
	if got, err := clock.Read([]byte("2263-01-01T00:00:00Z")); err == nil {
		t.Errorf("got %v, want an error: there is no such timestamp", got.At)
	}
}

// FuzzClock compares with the standard library where that can read the text.
func FuzzClock(f *testing.F) {
	for _, seed := range []string{"2025-07-18T20:42:34Z", "2024-02-29T00:00:00.5+05:30", "2025-07-18 20:42:34", "1752871354", "1752871354123", "2025-11-02 01:30:00", "2025-03-09 02:30:00", "-1e5"} {
		f.Add(seed)
	}
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		f.Fatal(err)
	}
	// time.Parse also takes hours of one digit and decimal commas (golang/go issue 54580).
	strict := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := dialect.NewClock(dialect.Options{Zone: zone}).Read([]byte(text))
		want, stderr := time.Parse(time.RFC3339Nano, text)
		if stderr == nil && strict.MatchString(text) && want.Year() >= 2011 && want.Year() < 2262 {
			if err != nil || !got.At.Time().Equal(want) {
				t.Fatalf("%q: got %v, %v; want %v", text, got.At, err, want)
			}
		}
		if want, stderr := time.ParseInLocation("2006-01-02 15:04:05", text, zone); stderr == nil && err == nil {
			if back := got.At.Time().In(zone).Format("2006-01-02 15:04:05"); len(text) == len(back) && back != text {
				t.Fatalf("%q: got %v, which shows as %s there; the standard library has %v", text, got.At, back, want)
			}
		}
		if err == nil && got.At.Time().Year() < 2010 {
			t.Fatalf("%q: got %v", text, got.At)
		}
	})
}
