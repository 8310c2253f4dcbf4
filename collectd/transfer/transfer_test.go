package transfer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/filter"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

func TestAnExportIsTheVerySameEvents(t *testing.T) {
	c := newCluster(t, "here", 8)
	c.appendSample(t)
	text := c.export(t, Config{})
	all := c.allEvents(t)
	if got := c.importText(t, text); got.Created != 0 || got.Existing != len(all) {
		t.Errorf("imported where it is from: %+v, want 0 created of %d", got, len(all))
	}
	other := newCluster(t, "there", 5)
	if got := other.importText(t, text); got.Created != len(all) || got.Existing != 0 {
		t.Errorf("imported elsewhere: %+v, want %d created", got, len(all))
	}
	sameEvents(t, all, other.allEvents(t))
	if got := other.importText(t, text+text); got.Created != 0 || got.Existing != 2*len(all) {
		t.Errorf("imported again: %+v, want 0 created", got)
	}
	back := other.export(t, Config{})
	if got := c.importText(t, back); got.Created != 0 || got.Existing != len(all) {
		t.Errorf("imported back: %+v, want 0 created of %d", got, len(all))
	}
}

func TestAnExportOfWhatIsArchivedIsTheVerySameEvents(t *testing.T) {
	c := newCluster(t, "", 4)
	c.appendSample(t)
	before := c.export(t, Config{})
	all := c.allEvents(t)
	c.archiveAll(t)
	after := c.export(t, Config{})
	if a, b := strings.Count(before, "\n"), strings.Count(after, "\n"); a != b {
		t.Fatalf("%d events were exported before, %d after they were archived", a, b)
	}
	for name, text := range map[string]string{"exported before": before, "exported after": after} {
		if got := c.importText(t, text); got.Created != 0 || got.Existing != len(all) {
			t.Errorf("%s, imported when all is archived: %+v, want 0 created of %d", name, got, len(all))
		}
	}
	other := newCluster(t, "", 4)
	if got := other.importText(t, before); got.Created != len(all) {
		t.Errorf("imported elsewhere: %+v, want %d created", got, len(all))
	}
	if got := other.importText(t, after); got.Created != 0 {
		t.Errorf("imported elsewhere once more, from the archive: %+v, want 0 created", got)
	}
	c.appendSample(t) // the same events again: new in the log, from which they were removed
	if got := c.importText(t, before); got.Created != 0 {
		t.Errorf("imported when all is in both: %+v, want 0 created", got)
	}
}

// recordTexts returns readings as sorted texts: host, GPU, metric, time, value and, if source is set, its name.
func recordTexts(evs map[string]events.Event, source bool) []string {
	var all []string
	for _, ev := range evs {
		for i := range ev.Columns {
			c := &ev.Columns[i]
			for at, v := range c.All() {
				line := fmt.Sprintf("%s %+v %s %s %+v", ev.Host, ev.Identities[c.Identity], c.Metric, at, v)
				if source {
					line += " " + c.Source
				}
				all = append(all, line)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readUpload reads CSV as the server would.
func readUpload(t *testing.T, csv string, cut *events.Cutter) map[string]events.Event {
	t.Helper()
	d := dialecttest.Dialect{Grammar: dcgmlong.Grammar()}
	read, err := d.Read(strings.NewReader(csv), dialect.Options{}, rows.Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Rejections) > 0 {
		t.Fatalf("%d rows are rejected: %+v", len(read.Rejections), read.Rejections[0])
	}
	var evs []events.Event
	for _, r := range read.Records {
		evs = append(evs, cut.Row(r.Host, 100, []events.Record{r.Record})...)
	}
	all := make(map[string]events.Event)
	for _, ev := range append(evs, cut.Flush()...) {
		all[events.EventKey("", 1, &ev).String()] = ev
	}
	return all
}

func TestCSVHasTheSameRecords(t *testing.T) {
	header := "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"
	own := header + `"2025-07-18T20:42:34Z","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-a","H100 ""SXM"", 80","node-1","c","p","n","12.50","GPU_I_ID=""3"",GPU_I_PROFILE=""1g.10gb"",job=""x\\y\""z\n"",instance=""node-1:9400"",DCGM_FI_DRIVER_VERSION=""550"""` + "\n" +
		`"2025-07-18T20:42:34.000000001Z","DCGM_FI_DEV_NVLINK_BANDWIDTH_L0","0","","GPU-a","","node-1","","","","","nvlink=""3"""` + "\n" +
		`"2025-07-18T20:42:35Z","DCGM_FI_DEV_POWER_USAGE","1","","GPU-b","","node-2","","","","[N/A]","pci_bus_id=""00000000:0F:00.0"""` + "\n" +
		`"2025-07-18T20:42:36Z","DCGM_FI_DEV_MEMORY_TEMP","1","","GPU-b","","node-2","","","","9223372036854775794",""` + "\n" +
		`"2025-07-18T20:42:36Z","some_metric","1","","GPU-b","","node-2","","","","1e-9","xid=""79"""` + "\n"
	sample := string(dialecttest.Sample(t, "dcgm_metrics_20250718_134233.csv"))
	for name, csv := range map[string]string{"own": own, "sample": sample} {
		t.Run(name, func(t *testing.T) {
			want := readUpload(t, csv, events.NewCutter(events.CutRules{}, "u", ""))
			c := newCluster(t, "", 4)
			if _, err := c.Append(t.Context(), slices.Collect(valuesOf(want))); err != nil {
				t.Fatal(err)
			}
			got := readUpload(t, c.export(t, Config{Format: "csv"}), events.NewCutter(events.CutRules{}, "u", ""))
			if diff := gocmp.Diff(recordTexts(want, true), recordTexts(got, true)); diff != "" {
				t.Errorf("records (-original +exported):\n%s", diff)
			}
		})
	}
}

func valuesOf(m map[string]events.Event) func(func(events.Event) bool) {
	return func(yield func(events.Event) bool) {
		for _, ev := range m {
			if !yield(ev) {
				return
			}
		}
	}
}

// A name that stands for another unit would be converted once more.
func TestCSVNamesMeanWhatIsStored(t *testing.T) {
	for _, source := range []string{"DCGM_FI_DEV_GPU_UTIL", "gpu_utilization", "power.draw [W]", "GPU_UTIL_RATIO", "own", "DCGM_FI_PROF_SM_ACTIVE", "memory.used [MiB]", "accelerator_nvidia_memory_used_bytes"} {
		m, _, _ := metric.Lookup(source)
		c := events.Column{Metric: m.Name, Source: source}
		name := sourceOf(&c)
		again, conversion, _ := metric.Lookup(name)
		if again.Name != m.Name || !conversion.Exact() {
			t.Errorf("readings of %q are exported as %q, which is %s with a conversion %v", source, name, again.Name, conversion)
		}
	}
}

func TestFilesPerUploadAreCutAlike(t *testing.T) {
	c := newCluster(t, "", 4)
	rules := events.CutRules{EventRecords: 10}
	want := make(map[events.UploadID]int)
	for u := range 70 { // more than files can be open
		id := events.UploadID(fmt.Sprintf("u/%d", u))
		cut := events.NewCutter(rules, id, "")
		var evs []events.Event
		for i := range 60 {
			r := events.Record{Identity: &events.Identity{UUID: "GPU-a"}, Metric: "own", Source: "own", At: events.Timestamp(1752870000e9 + int64(u)*1e12 + int64(i)*1e9), Value: events.Value{Number: events.Int(int64(i))}, Text: []byte(fmt.Sprint(i))}
			evs = append(evs, cut.Row(events.HostID(fmt.Sprintf("node-%d", i%3)), 10, []events.Record{r})...)
		}
		evs = append(evs, cut.Flush()...)
		want[id] = len(evs)
		if _, err := c.Append(t.Context(), evs); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	if text := c.export(t, Config{Format: "csv", Out: dir}); text != "" {
		t.Errorf("with -out the standard output has %d bytes", len(text))
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("%d files, %v; want %d", len(entries), err, len(want))
	}
	for id, n := range want {
		text, err := os.ReadFile(filepath.Join(dir, fileName(id)+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		once := readUpload(t, string(text), events.NewCutter(rules, id, ""))
		if again := readUpload(t, string(text), events.NewCutter(rules, "other", "")); len(once) != n || !gocmp.Equal(sortedKeys(once), sortedKeys(again)) {
			t.Errorf("%s is cut into %d events, then %d; want %d, the same", id, len(once), len(again), n)
		}
	}
	if err := Export(t.Context(), Config{Format: "csv", Out: dir}, c.exportSource(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "empty directory") {
		t.Errorf("exporting over files returns %v", err)
	}
}

func sortedKeys(m map[string]events.Event) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func TestFiltersTakePartsThatAreEventsOfTheirOwn(t *testing.T) {
	c := newCluster(t, "", 4)
	c.appendSample(t)
	all := c.allEvents(t)
	middle := events.Timestamp(1752870000e9 + 5e11)
	for name, cfg := range map[string]Config{
		"host":   {Filter: filter.Filter{Hosts: filter.Patterns{"node_1"}}},
		"metric": {Filter: filter.Filter{Metrics: filter.Patterns{"*POWER*"}}},
		"gpu":    {Filter: filter.Filter{GPUs: filter.Patterns{"GPU-1"}}},
		"from":   {From: middle.String()},
		"to":     {To: middle.String()},
	} {
		t.Run(name, func(t *testing.T) {
			text := c.export(t, cfg)
			other := newCluster(t, "", 4)
			first := other.importText(t, text)
			if again := other.importText(t, text); again.Created != 0 || first.Created == 0 {
				t.Errorf("imported %+v, and again %+v", first, again)
			}
			var want []string
			within, err := cfg.validate()
			if err != nil {
				t.Fatal(err)
			}
			parts := make(map[string]events.Event)
			for key, ev := range all {
				var columns []events.Column
				for _, col := range ev.Columns {
					if !cfg.Filter.Column(&ev, &col) {
						continue
					}
					lo, _ := slices.BinarySearch(col.Times, within.from)
					hi, _ := slices.BinarySearch(col.Times, within.to)
					col.Samples = col.Slice(lo, hi)
					columns = append(columns, col)
				}
				ev.Columns = columns
				parts[key] = ev
			}
			want = recordTexts(parts, true)
			if diff := gocmp.Diff(want, recordTexts(other.allEvents(t), true)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			// A partial import does not keep the rest of its events out.
			other.importText(t, c.export(t, Config{}))
			if !gocmp.Equal(recordTexts(all, true), recordTexts(other.allEvents(t), true)) {
				t.Error("records are missing after the whole was imported as well")
			}
		})
	}
}

func TestDamageAndBadLinesAreReported(t *testing.T) {
	c := newCluster(t, "", 4)
	c.appendSample(t)
	key := c.cfg.Key("queue", "002", "garbage")
	if _, err := eventstest.Etcd(t).Put(t.Context(), key, "\xff"); err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	var out bytes.Buffer
	if err := Export(t.Context(), Config{}, c.exportSource(), &out, &progress); err != nil || !strings.Contains(progress.String(), "1 events are damaged") {
		t.Errorf("%v, progress %q", err, progress.String())
	}
	text := "{}\nnot JSON\n" + out.String() + `{"key":"x","event":[{"timestamp":"2025-07-18T20:42:34Z"}]}` + "\n" + strings.Repeat("x", 100)
	progress.Reset()
	other := newCluster(t, "", 4)
	got, err := other.importer().Files(t.Context(), []string{"-"}, strings.NewReader(text), &progress)
	if !errors.Is(err, ErrBadLines) || got.Bad != 4 || got.Damaged != 1 || got.Created != len(c.allEvents(t))-1 || !strings.Contains(progress.String(), "line 2") {
		t.Errorf("%+v, %v, progress %q", got, err, progress.String())
	}
	if _, err := other.importer().Files(t.Context(), []string{filepath.Join(t.TempDir(), "none")}, nil, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	var csv bytes.Buffer
	if err := Export(t.Context(), Config{Format: "csv"}, newCluster(t, "", 4).exportSource(), &csv, io.Discard); err != nil || strings.Count(csv.String(), "\n") != 1 {
		t.Errorf("an empty log has %q, %v; want the header", csv.String(), err)
	}
}

// The events at one position are exported from the log or the archive, a damaged one with its value.
func TestEventsAtAPositionAreExported(t *testing.T) {
	c := newCluster(t, "", 4)
	c.appendSample(t)
	put, err := eventstest.Etcd(t).Put(t.Context(), c.cfg.Key("queue", "002", "garbage"), "\xffgarbage")
	if err != nil {
		t.Fatal(err)
	}
	at := events.Revision{Epoch: c.Facts().Epoch, Cluster: c.Facts().Cluster, Number: put.Header.Revision}
	var one line
	for _, where := range []string{"log", "archive"} {
		text := c.export(t, Config{Revision: at.String()})
		if err := json.Unmarshal([]byte(text), &one); err != nil || one.Key != "002/garbage" || string(one.Value) != "\xffgarbage" || one.Damage == "" {
			t.Errorf("exported from the %s: %s (%v)", where, text, err)
		}
		c.archiveAll(t)
	}
	before := at
	before.Epoch++ // of a snapshot that was restored
	if text := c.export(t, Config{Revision: before.String()}); !strings.Contains(text, "002/garbage") {
		t.Errorf("exported by a position from before a restore: %q", text)
	}
	for _, bad := range []string{"17", "1-1-0"} {
		if err := Export(t.Context(), Config{Revision: bad}, c.exportSource(), io.Discard, io.Discard); err == nil {
			t.Errorf("position %q is taken", bad)
		}
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	for _, cfg := range []Config{
		{From: "yesterday"}, {To: "2025-07-18"}, {From: "2025-07-18T20:00:00Z", To: "2025-07-18T20:00:00Z"}, {Format: "xml"}, {From: "1500-01-01T00:00:00Z"},
	} {
		if _, err := cfg.validate(); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func TestFileNamesOfUploadsDiffer(t *testing.T) {
	names := make(map[string]events.UploadID)
	for _, id := range []events.UploadID{"", "no-upload", "a", "A", "a/b", "a_b", "a%2Fb", "..", ".", "../x", "ü", "a b"} {
		name := fileName(id)
		if other, there := names[name]; there || strings.ContainsAny(name, `/\ `) || strings.HasPrefix(name, ".") || cmp.Compare(name, "") == 0 {
			t.Errorf("%q has file name %q, as %q does", id, name, other)
		}
		names[name] = id
	}
}
