package events

import (
	"fmt"
	"math"
	"time"
)

// Timestamp is an instant as UTC nanoseconds since the Unix epoch. Records carry it, so it is kept
// exact and small; it spans the years 1678 to 2262.
type Timestamp int64

// TimestampOf converts a time.Time of those years, whatever its zone.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixNano()) }

// Time gives the instant in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(0, int64(t)).UTC() }

// String is RFC 3339 in UTC with as many fraction digits as the instant has.
func (t Timestamp) String() string { return t.Time().Format(time.RFC3339Nano) }

// ParseTimestamp undoes String; it takes any RFC 3339 time of the years that a Timestamp spans.
func ParseTimestamp(s string) (Timestamp, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, fmt.Errorf("parsing time %.64q: write it as RFC 3339, such as 2025-07-18T20:42:34Z", s)
	}
	return checkedTimestamp(t)
}

// checkedTimestamp converts t unless it is outside of what a Timestamp spans.
func checkedTimestamp(t time.Time) (Timestamp, error) {
	if t.Before(Timestamp(math.MinInt64).Time()) || t.After(Timestamp(math.MaxInt64).Time()) {
		return 0, fmt.Errorf("parsing time %s: it must be between the years 1678 and 2262", t.Format(time.RFC3339))
	}
	return TimestampOf(t), nil
}
