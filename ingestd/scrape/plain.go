package scrape

import (
	"bytes"
	"iter"

	"github.com/zeebo/xxh3"
)

// maxPlainNumber bounds the digits of a plain value, so that no float64 is too small for it.
const maxPlainNumber = 64

// scanPlain reads a plain line, as exporters write nearly all of theirs:
//
//	name{label="value",label="value"} 12.5 1752871354123
//
// with single blanks, ASCII without backslashes in the labels' values, a decimal without an exponent, and digits as the
// time, if there is one. Both of Prometheus' parsers accept each such line and read the same from it. ok is false for
// every other line, whether the parsers accept it or not.
func (r *reader) scanPlain(line []byte) (s sample, ok bool) {
	name := r.metricLength(line)
	if name == 0 || name == len(line) {
		return s, false
	}
	series := name
	if line[name] == '{' {
		var n int
		if s.set, n = r.sets.findPrefix(line[name:]); n == 0 {
			return s, false
		}
		series += n
		s.labels = line[name:series]
	}
	if series == len(line) || line[series] != ' ' {
		return s, false
	}
	s.name = line[:name]
	var timed bool
	s.value, s.time, timed = bytes.Cut(line[series+1:], []byte(" "))
	return s, isPlainNumber(s.value) && (!timed || isPlainTime(s.time))
}

// metricLength returns the length of the metric's name at the beginning of a line. Neighbours often have the same one.
func (r *reader) metricLength(line []byte) int {
	n := len(r.name)
	if n > 0 && n < len(line) && (line[n] == '{' || line[n] == ' ') && string(line[:n]) == string(r.name) {
		return n
	}
	n = nameLength(line, true)
	r.name = append(r.name[:0], line[:n]...)
	return n
}

// nameLength returns the length of the metric's or label's name at the beginning of text; 0 if there is none.
func nameLength(text []byte, metric bool) int {
	for i, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':' && metric, '0' <= c && c <= '9' && i > 0:
		default:
			return i
		}
	}
	return len(text)
}

// plainLabelsLength returns the length of plain labels and their braces at the beginning of text; 0 if there are none.
func plainLabelsLength(text []byte) int {
	for at := 1; ; at++ {
		name := nameLength(text[at:], false)
		isName := string(text[at:at+name]) == nameLabel // a second name
		at += name
		if name == 0 || isName || len(text) < at+2 || text[at] != '=' || text[at+1] != '"' {
			return 0
		}
		at += 2
		value := plainValueLength(text[at:])
		if at += value + 1; at >= len(text) || text[at-1] != '"' {
			return 0
		}
		switch text[at] {
		case '}':
			return at + 1
		case ',':
		default:
			return 0
		}
	}
}

// plainValueLength returns the number of bytes before the first one that a plain label's value does not have.
func plainValueLength(text []byte) int {
	for i, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			return i
		}
	}
	return len(text)
}

func isPlainNumber(text []byte) bool {
	digits, points := 0, 0
	for i, c := range text {
		switch {
		case '0' <= c && c <= '9':
			digits++
		case c == '.':
			points++
		case c == '-' && i == 0:
		default:
			return false
		}
	}
	return digits > 0 && points <= 1 && len(text) <= maxPlainNumber
}

// isPlainTime reports whether text is a time that neither overflows milliseconds nor seconds.
func isPlainTime(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0 && len(text) <= 15
}

// plainLabel is a label of a plain line. pair is its text, name="value".
type plainLabel struct{ name, value, pair []byte }

// plainLabels yields the labels of a plain line.
func (s *sample) plainLabels() iter.Seq[plainLabel] {
	return func(yield func(plainLabel) bool) {
		for rest := s.labels; len(rest) > 1; {
			rest = rest[1:] // the brace or the comma
			name := bytes.IndexByte(rest, '=')
			value := bytes.IndexByte(rest[name+2:], '"')
			end := name + 2 + value + 1
			if !yield(plainLabel{rest[:name], rest[name+2 : end-1], rest[:end]}) {
				return
			}
			rest = rest[end:]
		}
	}
}

// seriesID identifies a series: the sum of the hashes of its name and its labels, which come in any order.
type seriesID struct{ hi, lo uint64 }

func (id *seriesID) addText(text []byte) {
	sum := xxh3.Hash128(text)
	id.hi += sum.Hi
	id.lo += sum.Lo
}
