package events

import (
	"fmt"
	"math"
	"time"
)

// Timestamp is an instant in nanoseconds since the Unix epoch, UTC. Records contain it, so it is exact and small; its
// range is the years 1678 to 2262.
type Timestamp int64

// TimestampOf converts a time.Time within that range, in any zone.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixNano()) }

// Time returns the instant in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// String returns the instant in RFC 3339 format, in UTC, with the necessary fraction digits only.
func (t Timestamp) String() string { return t.Time().Format(time.RFC3339Nano) }

// ParseTimestamp parses any RFC 3339 time within the range of a Timestamp.
func ParseTimestamp(s string) (Timestamp, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("parsing time %.64q: write it as RFC 3339, such as 2025-07-18T20:42:34Z", s)
	}
	return checkedTimestamp(t)
}

// checkedTimestamp converts t, or returns an error if t is out of range.
func checkedTimestamp(t time.Time) (Timestamp, error) {
	if t.Before(Timestamp(math.MinInt64).Time()) || t.After(Timestamp(math.MaxInt64).Time()) {
		return 0, fmt.Errorf("parsing time %s: it must be between the years 1678 and 2262", t.Format(time.RFC3339))
	}
	return TimestampOf(t), nil
}
