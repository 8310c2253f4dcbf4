package events

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONRoundTrip(t *testing.T) {
	c := newTestCodec(t)
	for seed := range uint64(300) {
		want := someEvent(random(seed))
		value, err := EncodeJSON(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(value) {
			t.Fatalf("seed %d: it is no JSON: %s", seed, value)
		}
		got, err := c.Decode(value)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, value)
		}
		if d := diff(want, got); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
	}
}

// wantReading is the expected content of a column with one reading.
type wantReading struct{ Metric, Source, Value, Raw string }

func columnsOf(ev Event) (out []wantReading) {
	for i := range ev.Columns {
		c := &ev.Columns[i]
		for _, v := range c.All() {
			w := wantReading{Metric: c.Metric, Source: c.Source, Value: v.Number.String(), Raw: v.Raw}
			if v.Absent != Present {
				w.Value = v.Absent.String()
			}
			out = append(out, w)
		}
	}
	return out
}

func TestDecodeWideRow(t *testing.T) {
	const row = `{"timestamp":"2024-01-01 12:00:01","gpu_id":0,"uuid":"GPU-00000001","device":"nvidia0","model_name":"Tesla V100",
		"hostname":"test-host-1","gpu_utilization":75.5,"memory_used_mb":"8192","power_draw":null,"DCGM_FI_DEV_GPU_TEMP":65,
		"rack":"r7","slot":3,"pci_bus_id":"0000:0F:00.0"}`
	ev, err := DecodeJSON([]byte(row))
	if err != nil {
		t.Fatal(err)
	}
	want := []wantReading{
		{"DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_TEMP", "65", ""},
		{"gpu_utilization", "gpu_utilization", "75.5", ""},
		{"slot", "slot", "3", ""},
	}
	if d := diff(want, columnsOf(ev)); d != "" {
		t.Errorf("readings (-want +got):\n%s", d)
	}
	identity := []Identity{{UUID: "GPU-00000001", Index: "0", PCI: "00000000:0f:00.0", Device: "nvidia0", Model: "Tesla V100",
		Labels: []Label{{"memory_used_mb", "8192"}, {"power_draw", ""}, {"rack", "r7"}}}}
	if d := diff(identity, ev.Identities); d != "" {
		t.Errorf("identities (-want +got):\n%s", d)
	}
	if ev.Host != "test-host-1" || ev.Zone != "UTC" || ev.First().String() != "2024-01-01T12:00:01Z" {
		t.Errorf("got host %q, zone %q, first %v", ev.Host, ev.Zone, ev.First())
	}
	if ev.Sequence == (ContentHash{}) {
		t.Error("a row without a sequence got none")
	}
	again, err := DecodeJSON([]byte("[" + row + "," + row + "]"))
	if err != nil || again.Records() != 3 {
		t.Errorf("the row twice returned %d records, %v, want 3", again.Records(), err)
	}
}

func TestDecodeLongRows(t *testing.T) {
	const rows = `[
		{"timestamp":"2025-07-18T20:42:34Z","metric_name":"utilization.gpu","gpu_id":"0","uuid":"GPU-1","modelName":"H100","Hostname":"h","pod":"","value":"0","labels_raw":"job=\"x\""},
		{"timestamp":"2025-07-18T20:42:35Z","metric_name":"other","gpu_id":"0","uuid":"GPU-1","modelName":"H100","Hostname":"h","value":66.781},
		{"timestamp":"2025-07-18T20:42:35Z","metric_name":"third","gpu_id":"0","uuid":"GPU-1","modelName":"H100","Hostname":"h","value":null,"absent":"not_supported","raw":"[N/A]"}]`
	ev, err := DecodeJSON([]byte(rows))
	if err != nil {
		t.Fatal(err)
	}
	want := []wantReading{
		{"other", "other", "66.781", ""},
		{"third", "third", "not_supported", "[N/A]"},
		{"utilization.gpu", "utilization.gpu", "0", ""},
	}
	if d := diff(want, columnsOf(ev)); d != "" {
		t.Errorf("readings (-want +got):\n%s", d)
	}
	if got := ev.Identities[1].Labels; ev.Zone != "" || len(got) != 1 || got[0] != (Label{"labels_raw", `job="x"`}) {
		t.Errorf("got zone %q, labels %v", ev.Zone, got)
	}
}

func TestDecodeKeepsNames(t *testing.T) {
	ev, err := DecodeJSON([]byte(`{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"fan":-3e2,"note":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := diff([]wantReading{{"fan", "fan", "-300", ""}}, columnsOf(ev)); d != "" {
		t.Errorf("readings (-want +got):\n%s", d)
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	good := `{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"power_draw":3}`
	if _, err := DecodeJSON([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		``:                "EOF",
		`[]`:              "no rows",
		`[` + good:        "EOF",
		good + good:       "behind",
		`[` + good + `]]`: "behind",
		`[3]`:             "row 1",
		`{}`:              "hostname",
		`null`:            "hostname",
		strings.Replace(good, `"hostname":"h",`, "", 1):                                                 "hostname",
		strings.Replace(good, "2025-07-18T20:42:34Z", "18.7.2025", 1):                                   "parsing time",
		strings.Replace(good, "2025-07-18T20:42:34Z", "9999-07-18 20:42:34", 1):                         "between the years",
		strings.Replace(good, `"power_draw":3`, `"power_draw":1e99999`, 1):                              "power_draw",
		strings.Replace(good, `"power_draw":3`, `"metric_name":"x","value":true`, 1):                    "parsing number",
		strings.Replace(good, `"power_draw":3`, `"note":"x"`, 1):                                        "no readings",
		strings.Replace(good, `"power_draw":3`, `"metric_name":"x"`, 1):                                 "no value",
		strings.Replace(good, `"power_draw":3`, `"metric_name":"","value":3`, 1):                        "metric_name",
		strings.Replace(good, `"power_draw":3`, `"metric_name":"x","value":null,"absent":"gone"`, 1):    "parsing reason",
		strings.Replace(good, `"power_draw":3`, `"metric_name":"x","value":null,"absent":"present"`, 1): "no reason",
		strings.Replace(good, `"power_draw":3`, `"power_draw":3,"event_sequence":"12"`, 1):              "sequence",
		"[" + good + "," + strings.Replace(good, `"h"`, `"g"`, 1) + "]":                                 "host",
		strings.Replace(good, `"h"`, "\"h\xff\"", 1):                                                    "UTF-8",
	} {
		if _, err := DecodeJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("decoding %s: got error %v, want one with %q", text, err, want)
		}
	}
}

func TestEncodeJSONRefuses(t *testing.T) {
	for name, id := range map[string]Identity{
		"text that is not UTF-8": {Pod: "\xff"},
		"a label twice":          {Labels: []Label{{"a", "1"}, {"a", "2"}}},
	} {
		c := NewCutter(CutRules{}, "", "")
		c.Row("h", 1, []Record{{Identity: &id, Metric: "m", Value: Value{Number: Int(1)}}})
		if _, err := EncodeJSON(nil, &c.Flush()[0]); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"power_draw":3}`))
	f.Add([]byte(`[{"timestamp":"2025-07-18 20:42:34","Hostname":"h","metric_name":"x","value":"1e5","labels":{"a":"b"},"b":[1]}]`))
	for seed := range uint64(4) {
		ev := someEvent(random(seed))
		value, err := EncodeJSON(nil, &ev)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		ev, err := DecodeJSON(value)
		if err != nil {
			return
		}
		again, err := EncodeJSON(nil, &ev)
		if err != nil {
			return // a repeated label
		}
		got, err := DecodeJSON(again)
		if err != nil {
			t.Fatalf("reading it again: %v\n%s", err, again)
		}
		if d := diff(ev, got); d != "" {
			t.Fatalf("it changed (-want +got):\n%s", d)
		}
	})
}

// Stored rows escape the special characters of HTML; without that the bytes of stored JSON would be others.
func TestStoredRowsEscapeHTML(t *testing.T) {
	ev := cutRows(CutRules{}, []testRow{dcgmRow(t, "host", &Identity{Index: "0", Labels: []Label{{Name: "job", Value: "a<b>&c"}}}, "DCGM_FI_DEV_GPU_TEMP", testStart, "41")})
	rows, err := EncodeJSON(nil, &ev[0])
	if err != nil || !strings.Contains(string(rows), `a\u003cb\u003e\u0026c`) {
		t.Errorf("got %s (%v), want the label escaped as it is stored", rows, err)
	}
}
