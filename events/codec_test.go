package events

import (
	"errors"
	"testing"
)

func newTestCodec(t testing.TB) *Codec {
	c, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCodecRoundTrip(t *testing.T) {
	c := newTestCodec(t)
	for seed := range uint64(300) {
		checkRoundTrip(t, c, someEvent(random(seed)))
	}
	for _, ev := range cutRows(CutRules{}, dcgmRows(t, 3, 50)) {
		checkRoundTrip(t, c, ev)
	}
}

func TestCodecRefuses(t *testing.T) {
	c := newTestCodec(t)
	ev := someEvent(random(1))
	good, err := c.Encode(nil, &ev)
	if err != nil {
		t.Fatal(err)
	}
	for end := range good {
		if _, err := c.Decode(good[:end]); err == nil {
			t.Errorf("decoding the first %d of %d bytes returned no error", end, len(good))
		}
	}
	for _, tag := range []byte{0, 3, '"', 0xff} {
		_, err := c.Decode(append([]byte{tag}, good[1:]...))
		unknown, ok := errors.AsType[*UnknownEncodingError](err)
		if !ok || unknown.Tag != tag {
			t.Errorf("tag %#x: got error %v, want an UnknownEncodingError", tag, err)
		}
	}
	ev.Columns[0].Times = ev.Columns[0].Times[:0]
	if _, err := c.Encode(nil, &ev); err == nil {
		t.Error("encoding an event that fails Check returned no error")
	}
}

func BenchmarkEncode(b *testing.B) {
	c := newTestCodec(b)
	ev := cutRows(CutRules{}, dcgmRows(b, 1, 25))[0]
	var value []byte
	for b.Loop() {
		var err error
		if value, err = c.Encode(value[:0], &ev); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(value))/float64(ev.Records()), "bytes/record")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(ev.Records()), "ns/record")
}

func BenchmarkDecode(b *testing.B) {
	c := newTestCodec(b)
	ev := cutRows(CutRules{}, dcgmRows(b, 1, 25))[0]
	value, err := c.Encode(nil, &ev)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.Decode(value); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(ev.Records()), "ns/record")
}
