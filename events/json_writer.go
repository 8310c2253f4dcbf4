package events

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSONWriter appends JSON text to Buf, including the commas. Numbers keep their decimal digits. The zero value is
// ready to use. A JSONWriter is not safe for concurrent use.
type JSONWriter struct {
	Buf        []byte
	EscapeHTML bool // escape <, > and &, as encoding/json does by default

	lastTime Timestamp // the last time written and its text; most readings of one GPU share their time
	lastText []byte
}

// Comma appends a comma unless the next value is the first one of its object, array or line.
func (w *JSONWriter) Comma() {
	if n := len(w.Buf); n > 0 {
		switch w.Buf[n-1] {
		case '{', '[', ':', '\n':
		default:
			w.Buf = append(w.Buf, ',')
		}
	}
}

// Open begins an object or an array, which Close ends.
func (w *JSONWriter) Open(bracket byte) {
	w.Comma()
	w.Buf = append(w.Buf, bracket)
}

// Close ends an object or an array.
func (w *JSONWriter) Close(bracket byte) { w.Buf = append(w.Buf, bracket) }

// Key begins a member of an object.
func (w *JSONWriter) Key(name string) {
	w.Comma()
	w.appendString(name)
	w.Buf = append(w.Buf, ':')
}

// Raw appends a value that is JSON text already.
func (w *JSONWriter) Raw(text string) {
	w.Comma()
	w.Buf = append(w.Buf, text...)
}

// StringValue appends a string value.
func (w *JSONWriter) StringValue(s string) {
	w.Comma()
	w.appendString(s)
}

// Text appends a member with a string value, unless the string is empty.
func (w *JSONWriter) Text(name, value string) {
	if value != "" {
		w.Key(name)
		w.appendString(value)
	}
}

// Strings appends a member with a list of strings.
func (w *JSONWriter) Strings(name string, list []string) {
	w.Key(name)
	w.Open('[')
	for _, s := range list {
		w.StringValue(s)
	}
	w.Close(']')
}

// Whole appends a member with an integer value.
func (w *JSONWriter) Whole(name string, v int64) {
	w.Key(name)
	w.Buf = strconv.AppendInt(w.Buf, v, 10)
}

// Number appends a member with a reading, with its own decimal digits.
func (w *JSONWriter) Number(name string, n Number) {
	w.Key(name)
	w.Buf = n.Append(w.Buf)
}

// Float appends a member with a computed value, unless v is nil.
func (w *JSONWriter) Float(name string, v *float64) {
	if v != nil {
		w.Key(name)
		w.Buf = strconv.AppendFloat(w.Buf, *v, 'f', -1, 64)
	}
}

// Time appends a member with an instant.
func (w *JSONWriter) Time(name string, at Timestamp) {
	w.Key(name)
	if len(w.lastText) == 0 || at != w.lastTime {
		w.lastTime = at
		w.lastText = append(w.lastText[:0], '"')
		w.lastText = at.Time().AppendFormat(w.lastText, time.RFC3339Nano)
		w.lastText = append(w.lastText, '"')
	}
	w.Buf = append(w.Buf, w.lastText...)
}

// appendString appends s in quotes. It leaves strings that are not plain ASCII, or need an escape, to encoding/json.
func (w *JSONWriter) appendString(s string) {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' || w.EscapeHTML && (c == '<' || c == '>' || c == '&') {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot happen: strings always marshal
				quoted = []byte(`""`)
			}
			w.Buf = append(w.Buf, quoted...)
			return
		}
	}
	w.Buf = append(w.Buf, '"')
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '"')
}
