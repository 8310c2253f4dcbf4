package graph

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Readings are written as encoding/json writes a map of them, of several of one metric the last one.
func TestReadingsAreWrittenAsMaps(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	for range 300 {
		var latest []projections.Latest
		values, times, absent, raw := map[string]json.RawMessage{}, map[string]string{}, map[string]string{}, map[string]string{}
		for _, name := range []string{"<a>", "b", "b", "c\u2028", "dé", "dé", "dé"} {
			l := projections.Latest{Metric: name, At: events.Timestamp(r.Int64()), Value: events.Value{Number: events.NumberOf(r.Int64N(1000), int16(r.IntN(5)-2))}}
			switch r.IntN(4) {
			case 0:
				continue
			case 1:
				l.Value = events.Value{Absent: events.NotSupported, Raw: [...]string{"", "N/A", "\"&"}[r.IntN(3)]}
			}
			latest = append(latest, l)
			times[name] = l.At.String()
			if l.Value.Absent == events.Present {
				values[name] = l.Value.Number.Append(nil)
			} else {
				absent[name] = l.Value.Absent.String()
			}
			if l.Value.Raw != "" {
				raw[name] = l.Value.Raw
			}
		}
		for _, c := range []struct{ got, want any }{{latestValues(latest), values}, {latestTimes(latest), times}, {latestAbsent(latest), absent}, {absentText(latest), raw}} {
			got, err := json.Marshal(c.got)
			want, wantErr := json.Marshal(c.want)
			if err != nil || wantErr != nil || string(got) != string(want) {
				t.Fatalf("got %s, %v; want %s, %v", got, err, want, wantErr)
			}
		}
	}
}

// TestListAllocations holds the allocations for each GPU of a list to the recorded number.
func TestListAllocations(t *testing.T) {
	const gpus, most = 400, 6
	var evs []events.Event
	for n := range gpus / 8 {
		var records []events.Record
		for g := range 8 {
			id := &events.Identity{UUID: fmt.Sprintf("GPU-%d-%d", n, g), Index: fmt.Sprint(g)}
			records = append(records, newReading(id, "DCGM_FI_DEV_GPU_UTIL", "87", start), newReading(id, "DCGM_FI_DEV_POWER_USAGE", "66.781", start))
		}
		evs = append(evs, newEvent(t, events.HostID(fmt.Sprintf("node-%03d", n)), records...))
	}
	w := newWorldOf(t, evs)
	measure := func(limit int) float64 {
		req := Request{Query: fmt.Sprintf(`{gpus(limit: %d) {id host status lastSeen metrics}}`, limit)}
		return testing.AllocsPerRun(20, func() {
			if r := w.engine.Execute(everybody(t), req); r.Refused {
				t.Fatalf("refused: %s", r.JSON)
			}
		})
	}
	if got := (measure(gpus) - measure(gpus/2)) / (gpus / 2); got > most {
		t.Errorf("a GPU of a list makes %v allocations, recorded are %d", got, most)
	}
}
