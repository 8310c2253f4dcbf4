package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/goldentest"
)

// storedSchemas are the Parquet schemas of the objects. Columns are read by their place: add them at the end.
func storedSchemas() map[string]*parquet.Schema {
	return map[string]*parquet.Schema{
		"schema-records": parquet.SchemaOf(record{}),
		"schema-events":  parquet.SchemaOf(eventRow{}),
		"schema-rollups": parquet.SchemaOf(rollupRow{}),
	}
}

func TestStoredSchemas(t *testing.T) {
	for name, schema := range storedSchemas() {
		form := 1
		if name == "schema-rollups" {
			form = objectsForm
		}
		goldentest.CheckWrittenText(t, name, form, schema.String())
	}
}

// storedEvents are the events of the golden objects: two readings each second, some absent, some with numbers that a
// float64 does not hold, of an identity with labels and a part, and one event that is damaged.
func storedEvents() (all []events.Event) {
	identity := &events.Identity{
		UUID: "GPU-0a1b2c3d-1111-2222-3333-444455556666", Index: "3", PCI: "00000000:1b:00.0", Device: "nvidia3", Model: "NVIDIA H100 80GB HBM3",
		Driver: "535.129.03", MIG: "1", MIGProfile: "1g.10gb", Pod: "train-0", Namespace: "ml", Container: "main", Part: "mig:1",
		Labels: []events.Label{{Name: "instance", Value: "n:9400"}, {Name: "odd", Value: "\xff\uFFFD"}},
	}
	host := &events.Identity{}
	cutter := events.NewCutter(events.CutRules{EventRecords: 100}, "upload-1", "Europe/Berlin")
	take := func(evs []events.Event) {
		for _, ev := range evs {
			ev.AppendedAt = fleetStart + 3600e9
			ev.Revision = fleetLog
			ev.Revision.Number = int64(len(all) + 1)
			ev.Key = "/telemetry/" + events.EventKey("default-cluster", 64, &ev).String()
			all = append(all, ev)
		}
	}
	for i := range int64(200) {
		at := fleetStart + events.Timestamp(i)*1e9
		heat := events.Value{Number: events.NumberOf(i%60-5, 0)}
		if i%10 == 9 {
			heat = events.Value{Absent: events.NotSupported, Raw: "[N/A]"}
		}
		take(cutter.Row("n", 50, []events.Record{
			{Identity: identity, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]", At: at, Value: events.Value{Number: events.NumberOf(66_000+i, -3)}},
			{Identity: host, Metric: "heat", Source: "heat", At: at, Value: heat},
		}))
	}
	take(cutter.Row("n", 50, []events.Record{
		{Identity: host, Metric: "exact", Source: "exact", At: fleetStart, Value: events.Value{Number: events.NumberOf(9007199254740993, 0)}},
		{Identity: host, Metric: "exact", Source: "exact", At: fleetStart + 1, Value: events.Value{Number: events.NumberOf(7, 400)}},
	}))
	take(cutter.Flush())
	take([]events.Event{{Host: "n", Damage: &events.DamageError{Value: []byte{0xee, 1}, Cause: fmt.Errorf("decoding event: %w", &events.UnknownEncodingError{Tag: 0xee})}}})
	return all
}

// storeEvents archives the events of the golden objects as two entries, and merges these.
func storeEvents(t *testing.T, s *Store) Entry {
	t.Helper()
	all := storedEvents()
	first := rangeUpto(1)
	second := rangeUpto(int64(len(all)))
	second.After = first.Upto
	return mustMerge(t, s, []Entry{mustWrite(t, s, first, all[:1]), mustWrite(t, s, second, all[1:])})
}

// withoutFirst returns buckets as objects of the first form have them.
func withoutFirst(all map[string]Bucket) map[string]Bucket {
	for key, b := range all {
		b.FirstAt = 0
		all[key] = b
	}
	return all
}

const goldenObjects = "testdata/golden/objects.form%d"

// objectsForm is the form of the objects written now: the second has rollups of the kinds minutely and hourly.
const objectsForm = 2

// TestStoredObjects compares the rows of objects written now with the rows of golden objects, cell by cell. The bytes of
// objects depend on the versions of libraries; their rows and schemas do not.
func TestStoredObjects(t *testing.T) {
	now := openDir(t)
	written := storeEvents(t, now)
	s, e := openGolden(t, objectsForm)
	if len(written.Objects) != 4 || len(e.Objects) != 4 {
		t.Fatalf("entries have %d and %d objects, want one of each kind", len(written.Objects), len(e.Objects))
	}
	for i, o := range written.Objects {
		got, want := rawRows(t, now, o), rawRows(t, s, e.Objects[i])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows of %s written now differ from those of the golden object, which other programs and later versions read: "+
				"give the entry a new version, keep reading this one, and add new golden objects beside these (-golden +now):\n%.2000s", o.Kind, diff)
		}
	}
}

// TestStoredObjectsStayReadable reads golden objects of every version there was.
func TestStoredObjectsStayReadable(t *testing.T) {
	now := openDir(t)
	fresh := storeEvents(t, now)
	for version := 1; version <= objectsForm; version++ {
		s, e := openGolden(t, version)
		if err := s.Check(t.Context(), e); err != nil {
			t.Error(err)
		}
		if diff := diffEvents(collectEvents(t, now.Read(t.Context(), fresh, events.Revision{})), collectEvents(t, s.Read(t.Context(), e, events.Revision{}))); diff != "" {
			t.Errorf("events of version %d differ (-want +got):\n%s", version, diff)
		}
		for kind, step := range map[Kind]events.Timestamp{Minutes: 60e9, Hours: 3600e9} {
			want := naiveBuckets(storedEvents(), step)
			if version == 1 {
				want = withoutFirst(want)
			}
			if diff := cmp.Diff(want, rolledUp(t, s, e, kind, Filter{})); diff != "" {
				t.Errorf("%s of version %d differ (-want +got):\n%s", kind, version, diff)
			}
		}
	}
}

// openGolden opens the golden objects of a version, and reads the entry that lists them.
func openGolden(t *testing.T, version int) (*Store, Entry) {
	t.Helper()
	dir, err := filepath.Abs(fmt.Sprintf(goldenObjects, version))
	if err != nil {
		t.Fatal(err)
	}
	var e Entry
	text, err := os.ReadFile(filepath.Join(dir, "entry.json"))
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		t.Fatalf("reading the golden entry of version %d: %v", version, err)
	}
	s, err := Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, e
}

// rawRows returns the rows of an object as text, with the schema before them.
func rawRows(t *testing.T, s *Store, o Object) []string {
	t.Helper()
	content, err := s.readObject(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := f.Lookup("telemetry-pipeline.kind")
	all := []string{kind, f.Schema().String()}
	for _, g := range f.RowGroups() {
		rows, buf := g.Rows(), make([]parquet.Row, 1)
		for range g.NumRows() {
			if n, err := rows.ReadRows(buf); n != 1 {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%+v", buf[0]))
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestStoredEntries(t *testing.T) {
	entries := map[string]Entry{
		"entry": {
			Partition: 36, First: fleetLog, Last: fleetLog, Objects: []Object{{Records, "records/036/x.parquet", 10, "ab", 3}, {firstHours, "hours/036/y.parquet", 11, "cd", 1}},
			Events: 2, Damaged: 1, Records: 3, From: -500_000_000, To: 1752871354_000000000, AppendedFrom: 1752871355_000000001, AppendedTo: 1752871356_000000000,
		},
		"entry-none": {Partition: 0, First: fleetLog, Last: fleetLog},
	}
	for name, e := range entries {
		value, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, entryVersion, string(value))
		goldentest.CheckWrittenText(t, "object-name-of-"+name, entryVersion, objectName(&e, firstMinutes, fmt.Sprintf("%064x", 10)))
	}
	goldentest.CheckReadable(t, "entry", entryVersion, entries, func(value []byte) (e Entry, err error) {
		err = json.Unmarshal(value, &e)
		return e, err
	})
}

// TestObjectsOfOtherColumnsAreRefused reads an object whose first two columns have changed places.
func TestObjectsOfOtherColumnsAreRefused(t *testing.T) {
	type swapped struct {
		GPU  string `parquet:"gpu,optional,dict"`
		Host string `parquet:"host,dict"`
	}
	var content bytes.Buffer
	w := parquet.NewGenericWriter[swapped](&content)
	if _, err := w.Write([]swapped{{"GPU-1", "n"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	o := Object{Kind: Records, Name: "records/x.parquet", Bytes: int64(content.Len()), Rows: 1}
	f, err := openContent(o, content.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rowGroups(o, f, 2); err == nil || !strings.Contains(err.Error(), "a newer one may have written it") {
		t.Errorf("an object with swapped columns: got error %v, want one that names the newer program", err)
	}
}
