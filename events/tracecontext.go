package events

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// TraceContext is a position in a sampled distributed trace (W3C trace context): ids of a trace and of a span, neither of
// them zero. The zero value means that there is none.
type TraceContext struct {
	Trace [16]byte
	Span  [8]byte
}

// IsZero reports whether there is no trace.
func (t TraceContext) IsZero() bool { return t == TraceContext{} }

func (t TraceContext) hasBothIDs() bool { return t.Trace != [16]byte{} && t.Span != [8]byte{} }

// String returns the W3C form, such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01; "" without a trace.
func (t TraceContext) String() string {
	if t.IsZero() {
		return ""
	}
	return "00-" + hex.EncodeToString(t.Trace[:]) + "-" + hex.EncodeToString(t.Span[:]) + "-01"
}

// ParseTraceContext parses the result of String, of a trace.
func ParseTraceContext(text string) (TraceContext, error) {
	var t TraceContext
	parts := strings.Split(text, "-")
	if len(parts) == 4 && len(parts[1]) == hex.EncodedLen(len(t.Trace)) && len(parts[2]) == hex.EncodedLen(len(t.Span)) {
		_, err := hex.Decode(t.Trace[:], []byte(parts[1]))
		_, err2 := hex.Decode(t.Span[:], []byte(parts[2]))
		if err == nil && err2 == nil && t.hasBothIDs() && t.String() == text {
			return t, nil
		}
	}
	return TraceContext{}, fmt.Errorf("%.80q is no trace context: it is 00-, 32 hexadecimal digits, -, 16 of them, -01", text)
}

// The trace context of a compact event is a skippable frame of zstd in front of the body's frame, so that programs that do not
// know it pass over it: the magic number 0x184D2A5E and the length 25, both little-endian, a byte 1, the trace id, the span id.
const (
	traceFrame      = "\x5e\x2a\x4d\x18\x19\x00\x00\x00\x01"
	traceFrameBytes = len(traceFrame) + 16 + 8
)

// appendTrace appends the frame of a trace context, and nothing without one.
func appendTrace(dst []byte, t TraceContext) []byte {
	if !t.hasBothIDs() {
		return dst
	}
	dst = append(dst, traceFrame...)
	dst = append(dst, t.Trace[:]...)
	return append(dst, t.Span[:]...)
}

// readTrace returns the trace context in front of a body; zero when there is none.
func readTrace(body []byte) (t TraceContext) {
	if len(body) < traceFrameBytes || string(body[:len(traceFrame)]) != traceFrame {
		return t
	}
	n := copy(t.Trace[:], body[len(traceFrame):])
	copy(t.Span[:], body[len(traceFrame)+n:])
	if !t.hasBothIDs() {
		return TraceContext{}
	}
	return t
}
