package history

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// TimeSyntax describes the values of a time parameter, for error texts.
const TimeSyntax = "an RFC 3339 time such as 2025-07-18T20:42:34Z, seconds since 1970, " +
	"or a time relative to now such as now-5m, now-1d12h (units s, m, h, d, w)"

var errTime = errors.New("not a time")

// ParseTime parses a time in a query; relative reports whether it is relative to now.
func ParseTime(s string, now time.Time) (at events.Timestamp, relative bool, err error) {
	if rest, ok := strings.CutPrefix(s, "now"); ok {
		at, err = parseRelative(rest, now)
		return at, true, err
	}
	if s != "" && strings.Trim(s, "0123456789.") == "" {
		at, err = parseEpoch(s)
		return at, false, err
	}
	// An unescaped '+' arrives as a blank.
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(strings.Replace(s, " ", "+", 1)))
	if err != nil {
		return 0, false, errTime
	}
	at, err = timestampOf(t)
	return at, false, err
}

// timestampOf returns t as a Timestamp, or an error if it is out of range.
func timestampOf(t time.Time) (events.Timestamp, error) {
	if t.Before(time.Unix(0, math.MinInt64)) || t.After(time.Unix(0, math.MaxInt64)) {
		return 0, errTime
	}
	return events.TimestampOf(t), nil
}

// parseEpoch parses seconds since 1970, with a fraction of up to nine digits.
func parseEpoch(s string) (events.Timestamp, error) {
	whole, fraction, dotted := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > math.MaxInt64/int64(time.Second)-1 ||
		len(fraction) > 9 || (dotted && fraction == "") || strings.Contains(fraction, ".") {
		return 0, errTime
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return 0, errTime
	}
	return events.Timestamp(seconds*int64(time.Second) + nanos), nil
}

// unitOf returns the duration of a unit letter; 0 for any other letter.
func unitOf(letter byte) time.Duration {
	switch letter {
	case 's':
		return time.Second
	case 'm':
		return time.Minute
	case 'h':
		return time.Hour
	case 'd':
		return 24 * time.Hour
	case 'w':
		return 7 * 24 * time.Hour
	}
	return 0
}

// parseRelative parses the text after "now": nothing, or a sign and numbers with units.
func parseRelative(s string, now time.Time) (events.Timestamp, error) {
	if s == "" {
		return timestampOf(now)
	}
	sign := time.Duration(-1)
	switch s[0] {
	case '-':
	case '+', ' ':
		sign = 1
	default:
		return 0, errTime
	}
	var sum time.Duration
	for s = s[1:]; ; {
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == 0 || i == len(s) || i > 9 {
			return 0, errTime
		}
		n, err := strconv.ParseInt(s[:i], 10, 64)
		unit := unitOf(s[i])
		if err != nil || unit == 0 || n > int64(math.MaxInt64/2-sum)/int64(unit) {
			return 0, errTime
		}
		sum += time.Duration(n) * unit
		if s = s[i+1:]; s == "" {
			return timestampOf(now.Add(sign * sum))
		}
	}
}
