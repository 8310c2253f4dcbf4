package archive_test

import (
	"encoding/json"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/archivetest"
)

var (
	start    = events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	identity = events.Identity{
		UUID: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50", Index: "0", Model: "NVIDIA H100 80GB HBM3", Pod: "train-0",
		Labels: []events.Label{{Name: "job", Value: `dgx "a"`}},
	}
)

// readingEvents returns events of one host: a power draw and a temperature each second, each tenth temperature absent.
func readingEvents(n int) (all []events.Event) {
	cutter := events.NewCutter(events.CutRules{EventRecords: 100}, "upload-1", "")
	give := func(evs []events.Event) {
		for _, ev := range evs {
			ev.Revision = events.Revision{Epoch: 1, Cluster: 2, Number: int64(len(all) + 1)}
			ev.Key = "/telemetry/" + events.EventKey("default-cluster", 64, &ev).String()
			all = append(all, ev)
		}
	}
	for i := range n {
		heat := events.Value{Number: events.Int(int64(30 + i%60))}
		if i%10 == 9 {
			heat = events.Value{Absent: events.NotSupported, Raw: "[N/A]"}
		}
		at := start + events.Timestamp(i)*1e9
		give(cutter.Row("mtv5-dgx1-hgpu-031", 50, []events.Record{
			{Identity: &identity, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]", At: at, Value: events.Value{Number: events.NumberOf(int64(66_000+i), -3)}},
			{Identity: &identity, Metric: "DCGM_FI_DEV_GPU_TEMP", Source: "temperature.gpu", At: at, Value: heat},
		}))
	}
	give(cutter.Flush())
	return all
}

// writeMerged writes events as two entries and merges them.
func writeMerged(t *testing.T, s *archive.Store, all []events.Event) archive.Entry {
	t.Helper()
	half := len(all) / 2
	r := archive.Range{Partition: 3, Upto: all[half-1].Revision}
	var entries []archive.Entry
	for _, part := range [][]events.Event{all[:half], all[half:]} {
		r.Upto = part[len(part)-1].Revision
		e, err := s.Write(t.Context(), r, eventSeq(part))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
		r.After = r.Upto
	}
	e, err := s.Merge(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range entries {
		for _, o := range old.Objects {
			if err := s.Remove(t.Context(), o.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

func eventSeq(all []events.Event) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, ev := range all {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// summary is the output of testdata/summary.mjs for a records object.
type summary struct {
	Counted, Rows int
	Metrics       map[string]metricSummary
	First         map[string]any
	Last          map[string]any
}

type metricSummary struct {
	Rows, Absent, GPUs int
	Sum                float64
}

func TestAnotherImplementationReadsTheSame(t *testing.T) {
	script, err := os.ReadFile("testdata/summary.mjs")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := archive.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 40_000 // of each metric: more than a page
	e := writeMerged(t, s, readingEvents(n))
	o, _ := e.Object(archive.Records)
	var got summary
	if err := json.Unmarshal(archivetest.Hyparquet(t, script, filepath.Join(dir, o.Name)), &got); err != nil {
		t.Fatal(err)
	}
	want := summary{Counted: 2 * n, Rows: 2 * n, Metrics: map[string]metricSummary{
		"DCGM_FI_DEV_POWER_USAGE": {Rows: n, GPUs: 1}, "DCGM_FI_DEV_GPU_TEMP": {Rows: n, GPUs: 1, Absent: n / 10},
	}}
	for i := range n {
		power := want.Metrics["DCGM_FI_DEV_POWER_USAGE"]
		power.Sum += events.NumberOf(int64(66_000+i), -3).Float()
		want.Metrics["DCGM_FI_DEV_POWER_USAGE"] = power
		if heat := want.Metrics["DCGM_FI_DEV_GPU_TEMP"]; i%10 != 9 {
			heat.Sum += float64(30 + i%60)
			want.Metrics["DCGM_FI_DEV_GPU_TEMP"] = heat
		}
	}
	absent := map[string]any{}
	for _, name := range []string{"part", "exact", "pci", "device", "driver", "mig", "mig_profile", "namespace", "container"} {
		absent[name] = nil
	}
	of := func(more map[string]any) map[string]any {
		all := maps.Clone(absent)
		maps.Copy(all, map[string]any{
			"host": "mtv5-dgx1-hgpu-031", "gpu": identity.UUID, "uuid": identity.UUID, "index": "0", "model": identity.Model, "pod": "train-0", "labels": `{"job":"dgx \"a\""}`,
		})
		maps.Copy(all, more)
		return all
	}
	want.First = of(map[string]any{
		"metric": "DCGM_FI_DEV_GPU_TEMP", "source": "temperature.gpu", "time": "2025-07-18T20:42:34.000Z", "value": 30.0, "scale": 0.0, "event": 0.0, "absent": nil, "raw": nil,
	})
	want.Last = of(map[string]any{
		"metric": "DCGM_FI_DEV_POWER_USAGE", "source": "power.draw [W]", "time": "2025-07-19T07:49:13.000Z", "value": 105.999, "scale": -3.0, "event": float64(n/100 - 1), "absent": nil, "raw": nil,
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what hyparquet reads differs (-want +got):\n%s", diff)
	}
}

func TestArchiveOnS3(t *testing.T) {
	s, err := archive.Open(t.Context(), archivetest.Gateway(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := readingEvents(3000)
	e := writeMerged(t, s, all)
	if again := writeMerged(t, s, all); !cmp.Equal(again, e) {
		t.Errorf("the same again: got %+v, want %+v", again, e)
	}
	if err := s.Check(t.Context(), e); err != nil {
		t.Error(err)
	}
	var got []events.Event
	for ev, err := range s.Read(t.Context(), e, events.Revision{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev)
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("events differ (-written +read):\n%s", diff)
	}
	records := 0
	for one, err := range s.Scan(t.Context(), e, archive.Filter{Metrics: []string{"DCGM_FI_DEV_GPU_TEMP"}, From: start + 1000e9, To: start + 2000e9}) {
		if err != nil {
			t.Fatal(err)
		}
		records += one.Len()
	}
	if records != 1000 {
		t.Errorf("a scan finds %d records, want 1000", records)
	}
	minutes := 0
	for r, err := range s.Rollup(t.Context(), e, archive.Minutes, archive.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		minutes += len(r.Buckets)
	}
	if minutes != 2*51 {
		t.Errorf("got %d minutes, want %d", minutes, 2*51)
	}
	var names, want []string
	for o, err := range s.List(t.Context(), 3) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, o.Name)
	}
	for _, o := range e.Objects {
		want = append(want, o.Name)
	}
	slices.Sort(want)
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
}

func TestOpenOfABucketThatIsNotThere(t *testing.T) {
	address := archivetest.Gateway(t)
	s, err := archive.Open(t.Context(), "s3://nothing"+address[len("s3://archive"):])
	if err == nil {
		t.Fatalf("opened %v, want an error; closing it: %v", s, s.Close())
	}
	t.Log(err)
}
