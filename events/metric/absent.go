package metric

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"telemetry-pipeline/events"
)

// DCGM's numbers for "no reading" (dcgm_structs.h): a base for blank, followed by not found, not supported and not
// permitted.
const (
	int32Blank  = 2147483632
	int64Blank  = 9223372036854775792
	doubleBlank = 140737488355328 // 2^47
)

// sentinelReason returns the reason encoded by n, or Present if n is a reading. n must be the source's number before
// any conversion.
//
// The int32 sentinels are matched exactly, since 64-bit counters exceed them. No reading reaches the base of the
// int64 or the double sentinels; a float64 cannot distinguish the four int64 sentinels, and all become 2^63.
func (m *Metric) sentinelReason(c Conversion, n events.Number) events.Reason {
	if belowSentinels(n) {
		return events.Present
	}
	typ := m.Type
	if c.scale == cent {
		typ = Double // a ratio, for any type of the field that it replaced
	}
	v, isWhole := wholeInt64(n)
	switch {
	case typ == Double:
		return reasonFrom(n, v, isWhole, doubleBlank)
	case typ == Untyped && !strings.HasPrefix(strings.ToUpper(m.Name), "DCGM_"):
		return events.Present
	case isWhole && int32Blank <= v && v < int32Blank+4:
		return reasonAt(v - int32Blank)
	case typ == Untyped && isWhole && doubleBlank <= v && v < doubleBlank+4:
		return reasonAt(v - doubleBlank)
	case m.Unit == "%" && isWhole && v >= 100*doubleBlank && v%100 == 0 && v <= 100*(doubleBlank+3):
		return reasonAt(v/100 - doubleBlank)
	}
	return reasonFrom(n, v, isWhole, int64Blank)
}

// belowSentinels reports quickly, for nearly all readings, that n is below every sentinel. No sentinel ends in more
// than two zeros.
func belowSentinels(n events.Number) bool {
	return n.Mantissa < 0 || n.Exponent <= 0 && n.Mantissa < int32Blank || n.Exponent <= 8 && n.Mantissa < 100_000
}

func reasonFrom(n events.Number, v int64, isWhole bool, base int64) events.Reason {
	switch {
	case isWhole && v >= base:
		return reasonAt(v - base)
	case !isWhole && n.Compare(events.Int(base)) >= 0:
		return events.Blank
	}
	return events.Present
}

func reasonAt(i int64) events.Reason {
	switch i {
	case 1:
		return events.NotFound
	case 2:
		return events.NotSupported
	case 3:
		return events.NotPermitted
	}
	return events.Blank
}

// Token returns the reason for the text of a cell, or Present if the text is not a word for an absent reading.
func Token(text []byte) events.Reason { return tokenReason(bytes.TrimSpace(text)) }

func tokenReason(text []byte) events.Reason {
	const words = len("[requested functionality has been deprecated]")
	if len(text) > words {
		return stringSentinel(text)
	}
	var lower [words]byte
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(text)]) {
	case "", "null", "nil", "nan":
		return events.Blank
	case "[n/a]", "n/a", "na", "[not supported]", "-":
		return events.NotSupported
	case "[requested functionality has been deprecated]":
		return events.Deprecated
	case "[insufficient permissions]":
		return events.NotPermitted
	case "[unknown error]", "[unknown]", "err!":
		return events.ReadError
	case "[gpu is lost]":
		return events.Lost
	case "[gpu requires reset]":
		return events.ResetRequired
	case "[not found]":
		return events.NotFound
	}
	return stringSentinel(text)
}

// stringSentinel returns the reason for DCGM's strings for "no reading", or Present for any other text.
func stringSentinel(text []byte) events.Reason {
	if !bytes.HasPrefix(text, []byte("<<<")) || !bytes.Contains(text, []byte(">>>")) || !utf8.Valid(text) {
		return events.Present
	}
	switch {
	case bytes.HasPrefix(text, []byte("<<<NOT_FOUND>>>")):
		return events.NotFound
	case bytes.HasPrefix(text, []byte("<<<NOT_SUPPORTED>>>")):
		return events.NotSupported
	case bytes.HasPrefix(text, []byte("<<<NOT_PERM>>>")):
		return events.NotPermitted
	}
	return events.Blank
}
