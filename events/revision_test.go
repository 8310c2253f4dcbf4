package events

import (
	"math"
	"testing"
	"time"
)

func TestRevisionText(t *testing.T) {
	for _, r := range []Revision{{}, {Epoch: 0x1f, Cluster: 0x2e, Number: 42}, {Epoch: math.MaxUint64, Cluster: math.MaxUint64, Number: math.MaxInt64}} {
		if got, err := ParseRevision(r.String()); err != nil || got != r {
			t.Errorf("ParseRevision(%q) = %+v, %v, want %+v", r, got, err, r)
		}
	}
	for _, text := range []string{"", "1", "1-2", "1-2-3-4", "01-2-3", "1-2-x", "1-2--3", "A-2-3", "1-2-+3", "10000000000000000-2-3"} {
		if r, err := ParseRevision(text); err == nil {
			t.Errorf("ParseRevision(%q) = %+v, want an error", text, r)
		}
	}
}

func TestTimestampText(t *testing.T) {
	for _, at := range []Timestamp{0, 1, -1, math.MinInt64, math.MaxInt64, TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 5e6, time.UTC))} {
		if got, err := ParseTimestamp(at.String()); err != nil || got != at {
			t.Errorf("ParseTimestamp(%q) = %d, %v, want %d", at, got, err, at)
		}
	}
	if got, err := ParseTimestamp("2025-07-18T22:42:34+02:00"); err != nil || got.String() != "2025-07-18T20:42:34Z" {
		t.Errorf("a time of another zone is read as %v, %v", got, err)
	}
	for _, text := range []string{"", "now", "2025-07-18", "1677-09-21T00:12:43Z", "2262-04-11T23:47:17Z", "9999-01-01T00:00:00Z"} {
		if at, err := ParseTimestamp(text); err == nil {
			t.Errorf("ParseTimestamp(%q) = %v, want an error", text, at)
		}
	}
}
