package rest

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// writer appends JSON text, putting the commas itself. It is used instead of encoding/json because a
// fleet's readings are megabytes, and because numbers pass through it as the decimals they are.
type writer struct {
	buf  []byte
	home *writers // where it goes when its text is sent; nil: nowhere

	lastTime events.Timestamp // the last time written, and where: readings of one GPU mostly share theirs
	lastText []byte

	lastOrigin origin // of the last entry, and its text
	originText []byte

	layout  layout
	unusual []projections.Latest // readings of an entry without a layout
}

// origin is where an entry is from.
type origin struct {
	host     events.HostID
	entity   events.Entity
	identity *events.Identity
}

// send makes the text the body of an answer; the writer must not be used after.
func (w *writer) send(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/json; charset=utf-8")
	if w.home == nil {
		c.Response().SetBodyRaw(w.buf)
		return nil
	}
	out := &sending{writer: w}
	out.Reset(w.buf)
	c.Context().SetBodyStream(out, len(w.buf))
	return nil
}

// comma separates a value from the one before, if there is one.
func (w *writer) comma() {
	if n := len(w.buf); n > 0 {
		switch w.buf[n-1] {
		case '{', '[', ':', '\n':
		default:
			w.buf = append(w.buf, ',')
		}
	}
}

// open starts an object or an array, close ends it.
func (w *writer) open(bracket byte) {
	w.comma()
	w.buf = append(w.buf, bracket)
}

func (w *writer) close(bracket byte) { w.buf = append(w.buf, bracket) }

// key starts a member of an object.
func (w *writer) key(name string) {
	w.comma()
	w.buf = append(appendString(w.buf, name), ':')
}

// raw appends a value that is JSON already.
func (w *writer) raw(text string) {
	w.comma()
	w.buf = append(w.buf, text...)
}

// str appends a string value.
func (w *writer) str(s string) {
	w.comma()
	w.buf = appendString(w.buf, s)
}

// text appends a member, unless it is empty.
func (w *writer) text(name, value string) {
	if value != "" {
		w.key(name)
		w.buf = appendString(w.buf, value)
	}
}

// whole appends a member that is a whole number.
func (w *writer) whole(name string, v int64) {
	w.key(name)
	w.buf = strconv.AppendInt(w.buf, v, 10)
}

// number appends a member that is a reading, in its own decimals.
func (w *writer) number(name string, n events.Number) {
	w.key(name)
	w.buf = n.Append(w.buf)
}

// float appends a computed member, unless there is none.
func (w *writer) float(name string, v *float64) {
	if v != nil {
		w.key(name)
		w.buf = strconv.AppendFloat(w.buf, *v, 'f', -1, 64)
	}
}

// time appends a member that is an instant.
func (w *writer) time(name string, at events.Timestamp) {
	w.key(name)
	if len(w.lastText) == 0 || at != w.lastTime {
		w.lastTime = at
		w.lastText = append(w.lastText[:0], '"')
		w.lastText = at.Time().AppendFormat(w.lastText, time.RFC3339Nano)
		w.lastText = append(w.lastText, '"')
	}
	w.buf = append(w.buf, w.lastText...)
}

// appendString appends s in quotes. What is neither plain ASCII nor free of escapes is left to encoding/json.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot be: a string always marshals
				quoted = []byte(`""`)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
