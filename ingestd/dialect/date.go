package dialect

import (
	"slices"
	"time"
)

// date is a day and a time of day without a zone.
type date struct {
	year, month, day, hour, minute, second int
	nanos                                  int64
}

// readDate reads YYYY-MM-DD or YYYY/MM/DD, a T or a blank, hh:mm:ss with or without a fraction. It returns the
// remaining text as the zone.
func readDate(text []byte) (d date, zone []byte, ok bool) {
	if len(text) < len("2006-01-02T15:04:05") {
		return d, nil, false
	}
	mark := text[4]
	switch {
	case mark != '-' && mark != '/', text[7] != mark, text[13] != ':', text[16] != ':':
		return d, nil, false
	case text[10] != 'T' && text[10] != 't' && text[10] != ' ':
		return d, nil, false
	}
	for _, part := range [...]struct {
		to       *int
		from, by int
	}{{&d.year, 0, 4}, {&d.month, 5, 2}, {&d.day, 8, 2}, {&d.hour, 11, 2}, {&d.minute, 14, 2}, {&d.second, 17, 2}} {
		for _, c := range text[part.from : part.from+part.by] {
			if c < '0' || c > '9' {
				return d, nil, false
			}
			*part.to = *part.to*10 + int(c-'0')
		}
	}
	rest := text[19:]
	if len(rest) > 0 && rest[0] == '.' {
		d.nanos, rest = readFraction(rest[1:])
		if rest == nil {
			return d, nil, false
		}
	}
	return d, rest, true
}

// readFraction returns the digits behind a point as nanoseconds; rest is nil if there are none.
func readFraction(text []byte) (nanos int64, rest []byte) {
	i := 0
	scale := int64(time.Second)
	for ; i < len(text) && '0' <= text[i] && text[i] <= '9'; i++ {
		scale /= 10
		nanos += int64(text[i]-'0') * scale
	}
	if i == 0 {
		return 0, nil
	}
	return nanos, text[i:]
}

// readOffset returns the offset Z or ±hh:mm in seconds east of Greenwich.
func readOffset(zone []byte) (int64, bool) {
	if len(zone) == 1 && (zone[0] == 'Z' || zone[0] == 'z') {
		return 0, true
	}
	if len(zone) != len("+02:00") || zone[0] != '+' && zone[0] != '-' || zone[3] != ':' {
		return 0, false
	}
	h, ok1 := twoDigits(zone[1:])
	m, ok2 := twoDigits(zone[4:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	seconds := int64(h*3600 + m*60)
	if zone[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

func twoDigits(text []byte) (int, bool) {
	a, b := text[0]-'0', text[1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func (d *date) isValid() bool {
	return d.month >= 1 && d.month <= 12 && d.day >= 1 && d.day <= daysIn(d.year, d.month) &&
		d.hour <= 23 && d.minute <= 59 && d.second <= 59
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// unixSeconds returns the date's seconds since 1970 as if it were UTC. Years are counted from March, so that a leap
// day is a year's last.
func (d *date) unixSeconds() int64 {
	y, m := d.year, d.month-3
	if m < 0 {
		y, m = y-1, m+12
	}
	const before1970 = 719468 // days from March 1 of year 0
	days := 365*y + y/4 - y/100 + y/400 + (153*m+2)/5 + d.day - 1 - before1970
	if y < 0 { // January and February of year 0
		days--
	}
	return int64(days)*86400 + int64(d.hour*3600+d.minute*60+d.second)
}

// secondsIn returns the date's seconds since 1970 in a zone. It returns ok == false for a time in the hour that is
// skipped when clocks are set forward. Of two instants, when clocks are set back, it returns the earlier one and
// twice == true.
func (d *date) secondsIn(zone *time.Location) (seconds int64, twice, ok bool) {
	local := d.unixSeconds()
	if zone == time.UTC {
		return local, false, true
	}
	var found []int64
	for _, offset := range offsetsAround(zone, local) {
		at := local - offset
		if _, actual := time.Unix(at, 0).In(zone).Zone(); int64(actual) == offset && !slices.Contains(found, at) {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		return 0, false, false
	}
	return slices.Min(found), len(found) > 1, true
}

// offsetsAround returns the offsets that zone has within a day and a half of local: no zone is farther from UTC.
func offsetsAround(zone *time.Location, local int64) []int64 {
	const reach = 36 * 3600
	var offsets []int64
	for at := time.Unix(local-reach, 0).In(zone); ; {
		_, offset := at.Zone()
		offsets = append(offsets, int64(offset))
		_, end := at.ZoneBounds()
		if end.IsZero() || end.Unix() > local+reach {
			return offsets
		}
		at = end
	}
}
