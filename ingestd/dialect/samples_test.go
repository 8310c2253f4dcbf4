package dialect_test

import (
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/ingestd/dialect"
)

func TestCheckRequired(t *testing.T) {
	start := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	for _, test := range []struct {
		opt         dialect.Options
		host, times bool
		want        []string
	}{
		{dialect.Options{}, false, false, nil},
		{dialect.Options{}, true, true, []string{"?host=", "?start="}},
		{dialect.Options{Host: "n1"}, true, true, []string{"?start="}},
		{dialect.Options{Start: start}, true, true, []string{"?host="}},
		{dialect.Options{Host: "n1", Start: start}, true, true, nil},
	} {
		err := test.opt.CheckRequired(test.host, test.times)
		if (err == nil) != (test.want == nil) {
			t.Errorf("%+v: got %v, want it to name %q", test.opt, err, test.want)
			continue
		}
		for _, name := range test.want {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%+v: got %v, want it to name %s", test.opt, err, name)
			}
		}
	}
}

func TestSamples(t *testing.T) {
	start := time.Date(2025, 7, 18, 20, 42, 34, 5e8, time.UTC)
	for _, test := range []struct {
		interval time.Duration
		want     string
	}{{0, "2025-07-18T20:42:36.5Z"}, {250 * time.Millisecond, "2025-07-18T20:42:35Z"}, {time.Hour, "2025-07-18T22:42:34.5Z"}} {
		s := dialect.NewSamples(dialect.Options{Start: start, Interval: test.interval})
		s.Next()
		s.Next()
		if got, err := s.At(); err != nil || got.String() != test.want {
			t.Errorf("the third sample of one each %v: got %v, %v, want %s", test.interval, got, err, test.want)
		}
	}
	s := dialect.NewSamples(dialect.Options{Start: start, Interval: 200 * time.Hour, Now: start})
	if got, err := s.At(); err != nil {
		t.Errorf("the first sample: got %v, %v, want its time", got, err)
	}
	s.Next()
	if got, err := s.At(); err == nil {
		t.Errorf("a sample of next week: got %v, want an error", got)
	}
	s = dialect.NewSamples(dialect.Options{Start: start, Interval: 1<<63 - 1})
	s.Next()
	if got, err := s.At(); err == nil {
		t.Errorf("a sample in 292 years: got %v, want an error", got)
	}
}
