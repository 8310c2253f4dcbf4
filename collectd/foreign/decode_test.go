package foreign

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// recordTexts returns the records of events as sorted texts.
func recordTexts(evs []events.Event) []string {
	var all []string
	for i := range evs {
		for c := range evs[i].Columns {
			col := &evs[i].Columns[c]
			id := evs[i].Identities[col.Identity]
			entity := id.Entity(evs[i].Host)
			for at, v := range col.All() {
				value := v.Number.String()
				if v.Absent != events.Present {
					value = fmt.Sprintf("%v %q", v.Absent, v.Raw)
				}
				name := strings.TrimPrefix(col.Metric, "DCGM_FI_DEV_")
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s=%s %s", evs[i].Host, entity.GPU, at, name, value, entity.Part)))
			}
		}
	}
	slices.Sort(all)
	return all
}

func decodeText(name, value string) decoded {
	return decodeValue(eventlog.Foreign{Name: name, Value: []byte(value)}, events.CutRules{}, noon)
}

func TestValuesMeanWhatFilesMean(t *testing.T) {
	const at = "2025-07-18T20:42:34Z"
	tests := []struct {
		what, name, value string
		want              []string
	}{
		{
			"a wide row", "1752871354_h_0_1",
			`{"timestamp":"2025-07-18T20:42:34Z","gpu_id":0,"uuid":"GPU-1","device":"nvidia0","model_name":"Tesla V100","hostname":"h",
			  "gpu_utilization":75.5,"memory_used_mb":8192,"temperature":65,"power_draw":"250","sm_clock_mhz":null,"memory_clock_mhz":""}`,
			[]string{
				"h GPU-1 " + at + " FB_USED=8192", "h GPU-1 " + at + " GPU_TEMP=65", "h GPU-1 " + at + " GPU_UTIL=75.5",
				`h GPU-1 ` + at + ` MEM_CLOCK=blank ""`, "h GPU-1 " + at + " POWER_USAGE=250", `h GPU-1 ` + at + ` SM_CLOCK=blank ""`,
			},
		},
		{
			"a long row", "x",
			`{"timestamp":"2025-07-18T20:42:34Z","metric_name":"DCGM_FI_DEV_POWER_USAGE","gpu_id":"3","Hostname":"h","value":66.781}`,
			[]string{"h h:3 " + at + " POWER_USAGE=66.781"},
		},
		{
			"rows of several hosts and both kinds", "x",
			` [{"timestamp":1752871354,"gpu_id":"3","hostname":"b","temperature":40},
			   {"ts":"2025-07-18T20:42:34","metric":"gpu_temp","gpu":"1","node":"a","value":"41"}]`,
			[]string{"a a:1 " + at + " GPU_TEMP=41", "b b:3 " + at + " GPU_TEMP=40"},
		},
		{
			"what only the key says", "1752871354_rack_7_3_17", `{"gpu_utilization":5}`,
			[]string{"rack_7 rack_7:3 " + at + " GPU_UTIL=5"},
		},
		{
			"a UUID that only the key says", "2025-07-18T20:42:34Z_rack/7_GPU-9_17", `{"gpu_utilization":5}`,
			[]string{"rack/7 GPU-9 " + at + " GPU_UTIL=5"},
		},
		{
			"what a row has fields for and does not say", "1752871354_h_7_17",
			`[{"timestamp":null,"hostname":"","gpu_id":null,"uuid":"","gpu_utilization":5},{"metric_name":"gpu_temp","value":6,"labels":{"pod":"p"}}]`,
			[]string{"h h:7 " + at + " GPU_TEMP=6", "h h:7 " + at + " GPU_UTIL=5"},
		},
		{
			"labels that name what the key does not", "1752871354_h_7_17",
			`[{"metric_name":"gpu_temp","value":6,"labels":{"gpu":"2"}},{"metric_name":"DCGM_FI_DEV_NVSWITCH_TEMPERATURE_CURRENT","value":7,"labels":{"nvswitch":"1"}}]`,
			[]string{"h  " + at + " NVSWITCH_TEMPERATURE_CURRENT=7 nvswitch:1", "h h:2 " + at + " GPU_TEMP=6"},
		},
		{
			"a row that says otherwise than its key", "1752871300_k_7_17",
			`{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"gpu_utilization":5}`,
			[]string{"h h:1 " + at + " GPU_UTIL=5"},
		},
		{
			"units and words for nothing", "x",
			`{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"memory.used [bytes]":1048576,"power_draw":"[N/A]","fb_free":12}`,
			[]string{`h h:1 ` + at + ` FB_FREE=12`, `h h:1 ` + at + ` POWER_USAGE=not_supported "[N/A]"`, `h h:1 ` + at + ` memory.used [bytes]=1048576`},
		},
		{
			"labels", "x",
			`{"timestamp":"2025-07-18T20:42:34Z","metric_name":"DCGM_FI_PROF_GR_ENGINE_ACTIVE","value":0.7,"labels":{"Hostname":"h","gpu":"1","GPU_I_ID":"4","a\"b":"c\\d"}}`,
			[]string{"h h:1 " + at + " DCGM_FI_PROF_GR_ENGINE_ACTIVE=0.7 mig:4"},
		},
		{
			"an event of ours, written back", "x",
			`[{"timestamp":"2025-07-18T20:42:34Z","metric_name":"fb_used_bytes","canonical_name":"DCGM_FI_DEV_FB_USED","gpu_id":"3","Hostname":"h","value":66,"event_sequence":"487aea278708fcc2456139d1a513feed"},
			  {"timestamp":"2025-07-18T20:42:35Z","metric_name":"fb_used_bytes","canonical_name":"DCGM_FI_DEV_FB_USED","gpu_id":"3","Hostname":"h","value":null,"absent":"not_supported","raw":"[N/A]"}]`,
			[]string{"h h:3 " + at + " FB_USED=66", `h h:3 2025-07-18T20:42:35Z FB_USED=not_supported "[N/A]"`},
		},
		{
			"a record that would join hosts", "x",
			`[{"timestamp":"2025-07-18T20:42:34Z","metric_name":"host_joined","gpu_id":"1","hostname":"h","value":1,"labels":{"joined_to":"n"}},
			  {"timestamp":"2025-07-18T20:42:34Z","metric_name":"x","canonical_name":"host_joined","gpu_id":"2","hostname":"h","value":1}]`,
			[]string{"h h:1 " + at + " host_joined_uploaded=1", "h h:2 " + at + " host_joined_uploaded=1"},
		},
	}
	for _, tt := range tests {
		d := decodeText(tt.name, tt.value)
		if d.faults > 0 {
			t.Errorf("%s: %s", tt.what, d.faultText())
		}
		if got := recordTexts(d.events); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got records\n%s\nwant\n%s", tt.what, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
		for _, ev := range d.events {
			if err := ev.Check(); err != nil || ev.Upload != events.UploadID(tt.name) {
				t.Errorf("%s: event of upload %q, %v", tt.what, ev.Upload, err)
			}
		}
	}
}

func TestWhatCannotBeUsedCostsNoMoreThanItself(t *testing.T) {
	good := `{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"gpu_utilization":5}`
	tests := []struct {
		what, name, value string
		records           int
		reason            string
	}{
		{"a bad cell", "x", strings.Replace(good, "5}", `5,"temperature":"hot"}`, 1), 1, `row 1, field temperature, "hot": not a number`},
		{"a bad row", "x", "[" + good + `,{"hostname":"h"},` + good + "]", 1, "row 2: no column has the time"},
		{"a row that is no object", "x", "[" + good + `,7]`, 1, "row 2: it is no object"},
		{"many bad rows", "x", "[" + strings.Repeat("{},", 9) + good + "]", 1, "; and 6 more (of 10 rows; what else they say is in the log)"},
		{"no time anywhere", "now_h_0_1", `{"hostname":"h","gpu_id":1,"gpu_utilization":5}`, 0, "row 1: no column has the time"},
		{"a time of next year", "x", strings.Replace(good, "2025", "2027", 1), 0, "ahead of the receiver's"},
		{"no host", "1752871354_x", `{"gpu_id":1,"gpu_utilization":5}`, 0, "host"},
		{"no GPU", "1752871354_x", `{"hostname":"h","gpu_utilization":5}`, 0, "GPU"},
		{"no reading", "x", `{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"note":"a"}`, 0, "row 1: "},
		{"no JSON", "x", "\x01\x02", 0, "it is not JSON"},
		{"half a value", "x", "[" + good + "," + good, 0, "it is not JSON"},
		{"more behind it", "x", good + good, 0, "it is not JSON"},
		{"other text", "x", "\"\xff\"", 0, "it is not UTF-8"},
		{"nothing", "x", "", 0, "it is not JSON"},
		{"no rows", "x", "[]", 0, "it has no rows"},
		{"NUL", "x", strings.Replace(good, `"h"`, `"h\u0000"`, 1), 0, `row 1: field "hostname": it has NUL bytes`},
		{"one field twice", "x", strings.Replace(good, "5}", `5,"gpu_utilization":6}`, 1), 0, `field "gpu_utilization" is there twice`},
		{"one label twice", "x", strings.Replace(good, "5}", `5,"labels":{"pod":"a","pod":"b"}}`, 1), 0, `field "pod" is there twice`},
		{"more fields than a file has columns", "x", strings.Replace(good, "5}", "5"+manyFields(4096)+"}", 1), 0, "more than 4096 fields"},
		{"more labels than that", "x", strings.Replace(good, "5}", `5,"labels":{"a":"b"`+manyFields(4096)+"}}", 1), 0, "more than 4096 fields"},
		{"NUL in the host of the key", "1752871354_h\x00_0_1", `{"gpu_utilization":5}`, 0, "host"},
		{"no UTF-8 in the host of the key", "1752871354_h\xff_0_1", `{"gpu_utilization":5}`, 0, "host"},
		{"a long host in the key", "1752871354_" + strings.Repeat("h", 254) + "_0_1", `{"gpu_utilization":5}`, 0, "host"},
		{"a field twice", "x", strings.Replace(good, `"gpu_id"`, `"GPU_ID":2,"gpu_id"`, 1), 0, "mean the same"},
	}
	for _, tt := range tests {
		d := decodeText(tt.name, tt.value)
		n := 0
		for i := range d.events {
			n += d.events[i].Records()
		}
		if d.faults == 0 || !strings.Contains(d.faultText(), tt.reason) || n != tt.records {
			t.Errorf("%s: %d faults %q and %d records, want %d and %q", tt.what, d.faults, d.faultText(), n, tt.records, tt.reason)
		}
		if d.stack != nil {
			t.Errorf("%s: %s", tt.what, d.stack)
		}
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	return b.String()
}

// A large array is cut as an upload is, so that none of its events is too large for the log.
func TestLargeArraysAreCutByTheRulesOfTheLog(t *testing.T) {
	var rows []string
	for i := range 25 {
		rows = append(rows, fmt.Sprintf(`{"timestamp":%d,"hostname":"h","gpu_id":1,"gpu_utilization":5}`, 1752871354+i))
	}
	d := decodeValue(eventlog.Foreign{Name: "x", Value: []byte("[" + strings.Join(rows, ",") + "]")}, events.CutRules{EventRecords: 10}, noon)
	if len(d.events) != 3 || d.events[0].Records() != 10 || d.events[2].Records() != 5 || d.faults > 0 {
		t.Errorf("%d events (%s), want 3 of 10, 10 and 5 records", len(d.events), d.faultText())
	}
}

// Times with a zone and times without are of different events, since an event records the assumed zone.
func TestAnAssumedZoneIsNoted(t *testing.T) {
	d := decodeText("x", `[{"timestamp":"2025-07-18 20:42:34","hostname":"h","gpu_id":1,"gpu_utilization":5},
		{"timestamp":"2025-07-18T20:42:35Z","hostname":"h","gpu_id":1,"gpu_utilization":6}]`)
	if len(d.events) != 2 || d.events[0].Zone != "" || d.events[1].Zone != "UTC" {
		t.Errorf("events %+v, want one without a zone and one in UTC", d.events)
	}
}

// Any value decodes to the same events each time, since a crash between its append and its removal must not double
// it.
func FuzzDecode(f *testing.F) {
	f.Add("1752871354_h_0_1", `{"timestamp":"2025-07-18T20:42:34Z","hostname":"h","gpu_id":1,"gpu_utilization":5,"labels":{"a":1}}`)
	f.Add("x", `[{"ts":1752871354,"metric_name":"temp","value":"4","hostname":"h","uuid":"GPU-1","labels_raw":"a=\"b\""},{}]`)
	f.Add("_h_GPU-1_", `{"power_draw":1e400,"note":{"a":[1]}}`)
	f.Fuzz(func(t *testing.T, name, value string) {
		d := decodeText(name, value)
		if d.stack != nil {
			t.Fatalf("it panicked: %s\n%s", d.faultText(), d.stack)
		}
		if again := decodeText(name, value); !reflect.DeepEqual(d, again) {
			t.Fatalf("got %+v, then %+v", d, again)
		}
		for i := range d.events {
			if err := d.events[i].Check(); err != nil {
				t.Fatal(err)
			}
		}
		if d.faults == 0 && (len(d.events) == 0 || !json.Valid([]byte(value))) {
			t.Fatalf("%d events and no fault", len(d.events))
		}
	})
}
