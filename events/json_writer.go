package events

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSONWriter appends JSON text to Buf and sets the commas itself. Numbers are written as the decimals that they are.
// The zero value is ready; a writer is for one goroutine.
type JSONWriter struct {
	Buf        []byte
	EscapeHTML bool // write <, > and & as encoding/json does unless told otherwise

	lastTime Timestamp // the last time written, and its text: readings of one GPU mostly share theirs
	lastText []byte
}

// Comma separates a value from the one before, if there is one. A value at the start of a line has none before.
func (w *JSONWriter) Comma() {
	if n := len(w.Buf); n > 0 {
		switch w.Buf[n-1] {
		case '{', '[', ':', '\n':
		default:
			w.Buf = append(w.Buf, ',')
		}
	}
}

// Open starts an object or an array, Close ends it.
func (w *JSONWriter) Open(bracket byte) {
	w.Comma()
	w.Buf = append(w.Buf, bracket)
}

// Close ends an object or an array.
func (w *JSONWriter) Close(bracket byte) { w.Buf = append(w.Buf, bracket) }

// Key starts a member of an object.
func (w *JSONWriter) Key(name string) {
	w.Comma()
	w.appendString(name)
	w.Buf = append(w.Buf, ':')
}

// Raw appends a value that is JSON already.
func (w *JSONWriter) Raw(text string) {
	w.Comma()
	w.Buf = append(w.Buf, text...)
}

// Str appends a string as a value.
func (w *JSONWriter) Str(s string) {
	w.Comma()
	w.appendString(s)
}

// Text appends a member that is a string, unless it is empty.
func (w *JSONWriter) Text(name, value string) {
	if value != "" {
		w.Key(name)
		w.appendString(value)
	}
}

// Strings appends a member that is a list of strings.
func (w *JSONWriter) Strings(name string, list []string) {
	w.Key(name)
	w.Open('[')
	for _, s := range list {
		w.Str(s)
	}
	w.Close(']')
}

// Whole appends a member that is a whole number.
func (w *JSONWriter) Whole(name string, v int64) {
	w.Key(name)
	w.Buf = strconv.AppendInt(w.Buf, v, 10)
}

// Number appends a member that is a reading, in its own decimals.
func (w *JSONWriter) Number(name string, n Number) {
	w.Key(name)
	w.Buf = n.Append(w.Buf)
}

// Float appends a computed member, unless there is none.
func (w *JSONWriter) Float(name string, v *float64) {
	if v != nil {
		w.Key(name)
		w.Buf = strconv.AppendFloat(w.Buf, *v, 'f', -1, 64)
	}
}

// Time appends a member that is an instant.
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

// appendString appends s in quotes. A string that is not plain ASCII, or needs an escape, is left to encoding/json.
func (w *JSONWriter) appendString(s string) {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' || w.EscapeHTML && (c == '<' || c == '>' || c == '&') {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot be: a string always marshals
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
