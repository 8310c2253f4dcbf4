package events

import (
	"bytes"
	"strings"
	"testing"

	"telemetry-pipeline/events/goldentest"
)

// storedEvents returns the events of the golden files, cut from rows that use every field of a record.
func storedEvents() map[string]Event {
	every := &Identity{
		UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0", PCI: "00000000:0f:00.0", Device: "nvidia0",
		Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03", MIG: "1", MIGProfile: "1g.10gb", Pod: "p", Namespace: "n", Container: "c",
		Part: "mig:1", Labels: []Label{{"instance", "h:9400"}, {"job", ""}, {"rack", "é/1"}},
	}
	index, host := &Identity{Index: "1"}, &Identity{Labels: []Label{{"room", "3"}}}
	c := NewCutter(CutRules{}, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "Europe/Berlin")
	const start = Timestamp(1752871354_000000000)
	for i := range Timestamp(4) {
		at := start + i*30e9 + i*i*1e9
		c.Row("rack7_node02", 1, []Record{
			{Identity: every, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]", At: at, Value: Value{Number: NumberOf(62740-7*int64(i), -3)}},
			{Identity: every, Metric: "far", Source: "far", At: at + i, Value: Value{Number: NumberOf(7, int16(30*i-30))}},
			{Identity: index, Metric: "DCGM_FI_DEV_GPU_TEMP", Source: "DCGM_FI_DEV_GPU_TEMP", At: at, Value: Value{Number: NumberOf(-5*int64(i), 0)}},
			{Identity: index, Metric: "DCGM_FI_DEV_FAN_SPEED", Source: "fan.speed [%]", At: at, Value: Value{Absent: Reason(1 + i), Raw: "[N/A]"}},
			{Identity: host, Metric: "room", Source: "room", At: at - 365*24*3600e9 + i*1e6, Value: Value{Number: NumberOf(25, 2)}},
		})
	}
	c.Row("rack7_node02", 1, []Record{
		{Identity: index, Metric: "DCGM_FI_DEV_GPU_TEMP", Source: "DCGM_FI_DEV_GPU_TEMP", At: start, Value: Value{Absent: Implausible, Raw: "1e9"}},
		{Identity: index, Metric: "DCGM_FI_DEV_FAN_SPEED", Source: "fan.speed [%]", At: start + 1, Value: Value{Absent: Ambiguous, Raw: "other"}},
	})
	full := c.Flush()[0]
	full.AppendedAt = start + 12345

	c = NewCutter(CutRules{}, "", "")
	c.Row("h", 1, []Record{{Identity: &Identity{}, Metric: "m", Source: "m", At: -1, Value: Value{Number: NumberOf(1, 0)}}})
	bare := c.Flush()[0]
	return map[string]Event{"event": full, "event-bare": bare}
}

// rawFrame returns a compact value with its zstd frame unpacked, since the frame's bytes depend on the library's version.
func rawFrame(t *testing.T, c *Codec, value []byte) []byte {
	t.Helper()
	head, _, found := bytes.Cut(value, []byte{0x28, 0xb5, 0x2f, 0xfd})
	body, err := c.unzip.DecodeAll(value[len(head):], nil)
	if !found || err != nil {
		t.Fatalf("unpacking the body: %v", err)
	}
	return append(bytes.Clone(head), body...)
}

func TestStoredEvents(t *testing.T) {
	c := newTestCodec(t)
	for name, ev := range storedEvents() {
		value, err := c.Encode(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWritten(t, "unpacked-"+name, tagCompact, rawFrame(t, c, value))
	}
	goldentest.CheckWrittenText(t, "vocabulary", tagCompact, vocabularyWords)
	goldentest.CheckReadable(t, "event", tagCompact, storedEvents(), c.Decode)
}

// tracedEvent returns an event that was appended in a trace.
func tracedEvent() map[string]Event {
	ev := storedEvents()["event"]
	ev.Trace = exampleTrace()
	return map[string]Event{"traced": ev}
}

// TestStoredTracedEvents pins the form of an event with a trace context. The decoder of commit 452ba79, which knows no traces, was
// seen to read testdata/golden/traced.form2.hex as the same event.
func TestStoredTracedEvents(t *testing.T) {
	c := newTestCodec(t)
	ev := tracedEvent()["traced"]
	value, err := c.Encode(nil, &ev)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.CheckWritten(t, "unpacked-traced", tagCompact, rawFrame(t, c, value))
	goldentest.CheckReadableFrom(t, "traced", tagCompact, tagCompact, tracedEvent(), c.Decode)
}

// storedRows returns the same events as rows in JSON.
func storedRows() map[string]Event {
	rows := map[string]Event{}
	for name, ev := range storedEvents() {
		rows[strings.Replace(name, "event", "rows", 1)] = ev
	}
	return rows
}

func TestStoredRows(t *testing.T) {
	c := newTestCodec(t)
	for name, ev := range storedRows() {
		value, err := EncodeJSON(nil, &ev)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, string(value))
	}
	goldentest.CheckReadable(t, "rows", 1, storedRows(), c.Decode)
}

// TestStoredEventKeys pins the keys of events, with names that need escapes.
func TestStoredEventKeys(t *testing.T) {
	full, bare := storedEvents()["event"], storedEvents()["event-bare"]
	keys := map[string]Key{
		"key":      EventKey("a/b_c", 64, &full),
		"key-bare": EventKey("default-cluster", 64, &bare),
		"key-odd":  {Cluster: "default-cluster", Partition: 511, At: -1 << 63, Host: "50%_\x7f/é", GPU: "0-7", Sequence: ContentHash{15: 1}},
	}
	for name, k := range keys {
		goldentest.CheckWrittenText(t, name, 1, k.String())
	}
	goldentest.CheckReadable(t, "key", 1, keys, func(text []byte) (Key, error) { return ParseKey(string(text)) })
	goldentest.CheckWrittenText(t, "prefixes", 1, QueuePrefix("a/b_c")+"\n"+PartitionPrefix("a/b_c", 7))
}
