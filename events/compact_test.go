package events

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"runtime"
	"strings"
	"testing"
)

// goldenEvent returns the event of testdata/compact.hex.
func goldenEvent() Event {
	gpu := &Identity{
		UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0", PCI: "00000000:0f:00.0", Device: "nvidia0",
		Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03", Labels: []Label{{"instance", "h:9400"}, {"job", "dcgm"}},
	}
	mig := &Identity{UUID: gpu.UUID, Index: "0", MIG: "1", MIGProfile: "1g.10gb", Pod: "p", Namespace: "n", Container: "c", Part: "mig:1"}
	c := NewCutter(CutRules{}, "upload-7", "Europe/Berlin")
	for i := range Timestamp(3) {
		at := testStart + i*30e9
		c.Row("h", 1, []Record{
			{Identity: gpu, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]", At: at, Value: Value{Number: Number{62740 + int64(i), -3}}},
			{Identity: gpu, Metric: "DCGM_FI_DEV_FAN_SPEED", Source: "fan.speed [%]", At: at, Value: Value{Absent: NotSupported, Raw: "[N/A]"}},
			{Identity: mig, Metric: "DCGM_FI_DEV_FB_USED", Source: "DCGM_FI_DEV_FB_USED", At: at + 5, Value: Value{Number: Int(100 * int64(i))}},
			{Identity: mig, Metric: "far", Source: "far", At: at, Value: Value{Number: Number{7, int16(30*i - 30)}}},
		})
	}
	ev := c.Flush()[0]
	ev.AppendedAt = testStart + 12345
	return ev
}

// Values of earlier versions stay readable for ever.
func TestCompactStaysReadable(t *testing.T) {
	text, err := os.ReadFile("testdata/compact.hex")
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	got, err := newTestCodec(t).Decode(value)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(goldenEvent(), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCompactIsSmall(t *testing.T) {
	c := newTestCodec(t)
	for _, tt := range []struct {
		name    string
		scrapes int
		most    float64 // bytes per record
	}{
		{"full event", 25, 2},
		{"one scrape", 1, 9},
	} {
		ev := cutRows(CutRules{}, dcgmRows(t, 1, tt.scrapes))[0]
		value, err := c.Encode(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(len(value)) / float64(ev.Records()); got > tt.most {
			t.Errorf("%s: got %.2f bytes per record, want at most %.2f", tt.name, got, tt.most)
		}
	}
}

// A small value with large lengths must not allocate much memory.
func TestDecodeIsBounded(t *testing.T) {
	c := newTestCodec(t)
	ev := goldenEvent()
	good, err := c.Encode(nil, &ev)
	if err != nil {
		t.Fatal(err)
	}
	frame := strings.Index(string(good), "\x28\xb5\x2f\xfd") // zstd's magic number
	for name, body := range map[string][]byte{
		"zeros":               make([]byte, 1<<20),
		"more than the bound": make([]byte, MaxBody+1),
		"ones":                []byte(strings.Repeat("\x01", 1<<20)),
		"large texts":         append(binary.AppendUvarint(nil, 1<<20), bytes.Repeat([]byte{0xc0, 0x84, 0x3d}, 2<<20)...), // each of a million bytes
	} {
		value := c.zip.EncodeAll(body, good[:frame:frame])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := c.Decode(value); err == nil {
			t.Errorf("%s: got no error", name)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
			t.Errorf("%s: decoding %d bytes made %d MiB", name, len(value), got>>20)
		}
	}
}

// FuzzCompact tries any value, any uncompressed body (which a fuzzer cannot compress), and events of any seed.
func FuzzCompact(f *testing.F) {
	c := newTestCodec(f)
	for seed := range uint64(4) {
		ev := someEvent(random(seed))
		value, err := c.Encode(nil, &ev)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value, c.newWriter().appendBody(&ev), seed)
	}
	f.Fuzz(func(t *testing.T, value, body []byte, seed uint64) {
		if ev, err := c.Decode(value); err == nil {
			if err := ev.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if ev, err := c.readBody(tagFirstCompact, body); err == nil && ev.Check() == nil {
			checkRoundTrip(t, c, ev)
		}
		ev, err := c.readBody(tagCompact, body)
		if err != nil || ev.Check() != nil {
			ev = someEvent(random(seed))
		}
		checkRoundTrip(t, c, ev)
	})
}

// checkRoundTrip encodes an event and decodes it.
func checkRoundTrip(t *testing.T, c *Codec, ev Event) {
	t.Helper()
	again, err := c.Encode(nil, &ev)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(again)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(ev, got); d != "" {
		t.Fatalf("event changed (-want +got):\n%s", d)
	}
}
