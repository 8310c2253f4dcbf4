package archive

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

func TestEntryKeepsItsForm(t *testing.T) {
	const stored = `{"version":1,"partition":7,"first":"1f-2e-1","last":"1f-2e-42",` +
		`"objects":[{"kind":"records","name":"records/007/1f-2e/x.parquet","bytes":10,"sha256":"ab","rows":3}],` +
		`"events":2,"damaged":1,"records":3,"from":"1969-12-31T23:59:59.5Z","to":"2025-07-18T00:00:00Z","appended_from":"2025-07-18T00:00:01Z","appended_to":"2025-07-18T00:00:02Z"}`
	var e Entry
	if err := json.Unmarshal([]byte(stored), &e); err != nil {
		t.Fatal(err)
	}
	last := fleetLog
	last.Number = 42
	if e.Partition != 7 || e.Last != last || e.First.Number != fleetLog.Number+1 || !e.First.SameLog(fleetLog) || e.From != -500_000_000 || e.To != fleetStart || e.AppendedTo != fleetStart+2e9 || e.Bytes() != 10 {
		t.Errorf("got %+v", e)
	}
	if got, err := json.Marshal(e); err != nil || string(got) != stored {
		t.Errorf("got %s, error %v, want %s", got, err, stored)
	}
}

func TestEntriesOfWritesSurviveJSON(t *testing.T) {
	s := openDir(t)
	all := collectEvents(t, fleetEvents(1, 20, 8))
	for name, want := range map[string]Entry{
		"full":  mustWrite(t, s, rangeUpto(1000), all),
		"empty": mustWrite(t, s, rangeUpto(1000), nil),
	} {
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Entry
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s entry differs (-want +got):\n%s", name, diff)
		}
		if n := len(collectEvents(t, s.Read(t.Context(), got, events.Revision{}))); int64(n) != want.Events {
			t.Errorf("%s entry has %d events, want %d", name, n, want.Events)
		}
	}
}

func TestEntryRefusesWhatItDoesNotKnow(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":2,"first":"1-1-1","last":"1-1-1"}`:                    "version 2",
		`{"version":1,"first":"1","last":"1-1-1"}`:                        "revision",
		`{"version":1,"first":"1-1-1","last":"1-1-1","from":"yesterday"}`: "yesterday",
		`[]`: "archive entry",
	} {
		var e Entry
		if err := json.Unmarshal([]byte(text), &e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, error %v, want an error about %q", text, e, err, want)
		}
	}
}
