package events

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzJSONString(f *testing.F) {
	for _, text := range []string{"", "plain", `"\`, "\x00\x1f", "ü\u2028", "\xff", "\x7f", "<a href='&'>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var w JSONWriter
		w.StringValue(text)
		var got string
		if err := json.Unmarshal(w.Buf, &got); err != nil {
			t.Fatalf("%q is written as %s: %v", text, w.Buf, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); strings.ToValidUTF8(got, "\ufffd") != got || len([]rune(got)) < len([]rune(want)) {
			t.Errorf("%q is read back as %q", text, got)
		}
		if bytes.Equal([]byte(text), bytes.ToValidUTF8([]byte(text), nil)) && got != text {
			t.Errorf("%q is read back as %q", text, got)
		}
		escaping := JSONWriter{EscapeHTML: true}
		escaping.StringValue(text)
		if want, err := json.Marshal(text); err != nil || !bytes.Equal(escaping.Buf, want) {
			t.Errorf("%q is written as %s, encoding/json writes %s, %v", text, escaping.Buf, want, err)
		}
	})
}

// TestFieldNames checks the table of names.
func TestFieldNames(t *testing.T) {
	var id Identity
	for i := range id.fieldPointers() {
		if Field(i).Name(RowNames) == "" || Field(i).Name(QueryNames) == "" {
			t.Errorf("text %d of an identity has no name in JSON", i)
		}
	}
	for n := range namings {
		seen := map[string]Field{}
		for f := range fieldCount {
			name := strings.ToLower(f.Name(n))
			if before, twice := seen[name]; twice && name != "" {
				t.Errorf("fields %d and %d are both named %s", before, f, name)
			}
			seen[name] = f
		}
	}
}

// TestFieldsOfAnEvent writes all of one event under both sets of names.
func TestFieldsOfAnEvent(t *testing.T) {
	id := Identity{UUID: "GPU-1", Index: "0", PCI: "p", Device: "d", Model: "m", Driver: "v", MIG: "1", MIGProfile: "1g", Pod: "pod",
		Namespace: "ns", Container: "c", Part: "mig:1", Labels: []Label{{"a", "<1>"}, {"b", ""}}}
	c := NewCutter(CutRules{}, "up", "UTC")
	c.Row("h", 1, []Record{{Identity: &id, Metric: "m", Source: "s", At: 1e9, Value: Value{Number: Int(7)}, Text: []byte("7")}})
	ev := c.Flush()[0]
	ev.Key, ev.Revision, ev.AppendedAt = "k", Revision{Epoch: 1, Cluster: 2, Number: 3}, 2e9
	all := make([]Field, fieldCount)
	for f := range all {
		all[f] = Field(f)
	}
	identity, record := all[:FieldAt], all[FieldAt:FieldHost]
	for n, want := range map[Naming]string{
		RowNames: `{"uuid":"GPU-1","gpu_id":"0","pci_bus_id":"p","device":"d","modelName":"m","driver_version":"v","GPU_I_ID":"1",` +
			`"GPU_I_PROFILE":"1g","pod":"pod","namespace":"ns","container":"c","entity_part":"mig:1","labels":{"a":"<1>","b":""},` +
			`"timestamp":"1970-01-01T00:00:01Z","canonical_name":"m","metric_name":"s","value":7,"Hostname":"h",` +
			`"event_appended_at":"1970-01-01T00:00:02Z","event_upload":"up","event_sequence":"` + ev.Sequence.String() + `","event_zone":"UTC"}`,
		QueryNames: `{"uuid":"GPU-1","gpu_id":"0","pci_bus_id":"p","device":"d","model_name":"m","driver_version":"v","mig_instance_id":"1",` +
			`"mig_profile":"1g","pod":"pod","namespace":"ns","container":"c","part":"mig:1","labels":{"a":"<1>","b":""},"id":"GPU-1",` +
			`"timestamp":"1970-01-01T00:00:01Z","metric":"m","source":"s","value":7,"host_id":"h","hostname":"h","key":"k",` +
			`"revision":"` + ev.Revision.String() + `","appended_at":"1970-01-01T00:00:02Z","upload_id":"up","sequence":"` + ev.Sequence.String() +
			`","assumed_zone":"UTC","first_timestamp":"1970-01-01T00:00:01Z","last_timestamp":"1970-01-01T00:00:01Z","record_count":1,` +
			`"gpu_ids":["GPU-1"],"metrics":["m"]}`,
	} {
		var w JSONWriter
		w.Open('{')
		w.Identity(n, ev.Host, &ev.Identities[0], namedFields(n, identity)...)
		w.Record(n, &Record{Metric: "m", Source: "s", At: 1e9, Value: Value{Number: Int(7)}}, namedFields(n, record)...)
		w.Event(n, &ev, namedFields(n, all[FieldHost:])...)
		w.Close('}')
		if d := diff(want, string(w.Buf)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	var w JSONWriter
	w.Open('{')
	w.Record(QueryNames, &Record{Value: Value{Absent: Lost, Raw: "x"}}, FieldSource|Always, FieldValue|Always, FieldAbsent, FieldRaw)
	w.Close('}')
	if got, want := string(w.Buf), `{"source":"","value":null,"absent":"lost","absent_text":"x"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// namedFields returns the fields that have a name.
func namedFields(n Naming, fields []Field) (out []Field) {
	for _, f := range fields {
		if f.Name(n) != "" {
			out = append(out, f)
		}
	}
	return out
}
