package events

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// exampleTrace is the example of the W3C recommendation.
func exampleTrace() TraceContext {
	return TraceContext{
		Trace: [16]byte{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c},
		Span:  [8]byte{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
	}
}

func TestTraceContextAsText(t *testing.T) {
	const text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := exampleTrace().String(); got != text {
		t.Errorf("got %s, want %s", got, text)
	}
	if got, err := ParseTraceContext(text); err != nil || got != exampleTrace() {
		t.Errorf("parsing %s: got %v and error %v", text, got, err)
	}
	if got := (TraceContext{}).String(); got != "" {
		t.Errorf("without a trace: got %q, want no text", got)
	}
	for _, bad := range []string{
		"", "-", "---", "00", strings.Repeat("-", 55), text[1:], text + "0", strings.ToUpper(text),
		strings.Replace(text, "-01", "-00", 1), strings.Replace(text, "00-", "01-", 1), strings.Replace(text, "0af7", "0ag7", 1),
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
	} {
		if got, err := ParseTraceContext(bad); err == nil || !got.IsZero() {
			t.Errorf("parsing %q: got %v and error %v, want an error", bad, got, err)
		}
	}
}

// TestTraceContextIsOutsideTheContent: an event in a trace has the same key, and its value is the value without a trace with 33
// bytes more in it.
func TestTraceContextIsOutsideTheContent(t *testing.T) {
	c := newTestCodec(t)
	for seed := range uint64(50) {
		ev := someEvent(random(seed))
		plain, err := c.Encode(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		traced := ev
		traced.Trace = exampleTrace()
		checkRoundTrip(t, c, traced)
		value, err := c.Encode(nil, &traced)
		if err != nil {
			t.Fatal(err)
		}
		if EventKey("c", 64, &ev) != EventKey("c", 64, &traced) {
			t.Error("the key depends on the trace")
		}
		frame := appendTrace(nil, traced.Trace)
		if len(frame) != 33 || !bytes.Equal(bytes.Replace(value, frame, nil, 1), plain) {
			t.Errorf("the value in a trace is not the one without, with a frame of 33 bytes")
		}
	}
}

// TestFramesThatAreNoTraceAreIgnored: a skippable frame of another length or form is nobody's business here.
func TestFramesThatAreNoTraceAreIgnored(t *testing.T) {
	c := newTestCodec(t)
	ev := someEvent(random(1))
	traced := ev
	traced.Trace = exampleTrace()
	value, err := c.Encode(nil, &traced)
	if err != nil {
		t.Fatal(err)
	}
	frame := appendTrace(nil, traced.Trace)
	otherForm, noTrace, noSpan := bytes.Clone(frame), bytes.Clone(frame), bytes.Clone(frame)
	otherForm[8] = 2
	clear(noTrace[9:25])
	clear(noSpan[25:])
	longer := append([]byte("\x5e\x2a\x4d\x18\x1a\x00\x00\x00"), make([]byte, 26)...)
	for name, other := range map[string][]byte{"another form": otherForm, "no trace id": noTrace, "no span id": noSpan, "longer": longer} {
		got, err := c.Decode(bytes.Replace(value, frame, other, 1))
		if err != nil || !cmp.Equal(got, ev, cmpopts.EquateEmpty()) {
			t.Errorf("%s: got error %v and trace %v, want the event without a trace", name, err, got.Trace)
		}
	}
	for end := range traceFrameBytes { // a frame that is cut off is damage, as before
		at := bytes.Index(value, frame)
		if _, err := c.Decode(value[:at+end]); err == nil {
			t.Errorf("an event of which %d bytes of the frame are left is no error", end)
		}
	}
}
