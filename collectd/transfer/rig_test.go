package transfer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// cluster is a log with an archive.
type cluster struct {
	*eventlog.Log
	cfg      eventlog.Config
	manifest *manifest.Manifest
	store    *archive.Store
	reader   *manifest.Reader
}

func newCluster(t *testing.T, id string, partitions int) *cluster {
	t.Helper()
	cfg := eventstest.Config(t)
	cfg.ClusterID, cfg.Partitions = id, partitions
	c := &cluster{Log: eventstest.OpenLog(t, cfg), cfg: cfg}
	c.manifest = manifest.New(eventstest.Etcd(t), cfg, c.Facts())
	var err error
	if c.store, err = archive.Open(t.Context(), "file://"+filepath.ToSlash(t.TempDir())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.store.Close() })
	c.reader = manifest.NewReader(c.Log, c.store, c.manifest)
	return c
}

// wholeLog is the archive and the log for an export.
type wholeLog struct {
	*manifest.Reader
	facts events.Facts
}

func (w wholeLog) Facts() events.Facts { return w.facts }

func (c *cluster) exportSource() wholeLog { return wholeLog{c.reader, c.Facts()} }

func (c *cluster) export(t *testing.T, cfg Config) string {
	t.Helper()
	var out bytes.Buffer
	if err := Export(t.Context(), cfg, c.exportSource(), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// importer returns an importer into the cluster, which knows its archive.
func (c *cluster) importer() *Importer {
	listed := func(ctx context.Context, p events.Partition) ([]archive.Entry, error) {
		part, err := c.manifest.Load(ctx, p)
		var all []archive.Entry
		for _, e := range part.Entries {
			all = append(all, e.Entry)
		}
		return all, err
	}
	return &Importer{Root: c.cfg, To: c.Log, Archive: NewArchive(listed, c.store)}
}

func (c *cluster) importText(t *testing.T, text string) Import {
	t.Helper()
	got, err := c.importer().Files(t.Context(), []string{"-"}, bytes.NewReader([]byte(text)), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// allEvents returns every event, by the last part of its key.
func (c *cluster) allEvents(t *testing.T) map[string]events.Event {
	t.Helper()
	head, err := c.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]events.Event)
	for p := range c.Facts().Partitions {
		for ev, err := range c.reader.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(ev.Key)] = ev
		}
	}
	return all
}

// appendSample appends events of several hosts and uploads that use every member of an event.
func (c *cluster) appendSample(t *testing.T) {
	t.Helper()
	r := rand.New(rand.NewPCG(4, 4))
	for upload := range 4 {
		cut := events.NewCutter(events.CutRules{EventRecords: 50}, events.UploadID(fmt.Sprintf("upload/%d", upload)), []string{"", "UTC"}[upload%2])
		var evs []events.Event
		for range 400 {
			evs = append(evs, cut.Row(events.HostID(fmt.Sprintf("node_%d", r.IntN(5))), 20, []events.Record{randomRecord(r)})...)
		}
		if _, err := c.Append(t.Context(), append(evs, cut.Flush()...)); err != nil {
			t.Fatal(err)
		}
	}
}

// randomRecord returns a record; some have text that JSON cannot write.
func randomRecord(r *rand.Rand) events.Record {
	id := &events.Identity{UUID: fmt.Sprintf("GPU-%d", r.IntN(3)), Index: fmt.Sprint(r.IntN(3)), Model: `H100 "x", 80GB`}
	switch r.IntN(40) {
	case 0:
		id.Labels = []events.Label{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}
	case 1:
		id.Pod = "not \xff UTF-8"
	case 2:
		id.Part, id.MIG = "mig:1", "1"
	default:
		id.Labels = []events.Label{{Name: "job", Value: "dcgm\n\"x\""}}
	}
	metrics := [][2]string{
		{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_UTIL"}, {"DCGM_FI_DEV_POWER_USAGE", "power.draw [W]"}, {"own_metric", "own_metric"},
	}
	name := metrics[r.IntN(len(metrics))]
	v := events.Value{Number: events.NumberOf(r.Int64N(1000), int16(-r.IntN(3)))}
	if r.IntN(10) == 0 {
		v = events.Value{Absent: events.NotSupported, Raw: "[N/A]"}
	}
	text := v.Raw
	if v.Absent == events.Present {
		text = v.Number.String()
	}
	return events.Record{Identity: id, Metric: name[0], Source: name[1], At: events.Timestamp(1752870000e9 + r.Int64N(1e12)), Value: v, Text: []byte(text)}
}

// archiveAll moves all events up to now to the archive, merged, and deletes them from the log.
func (c *cluster) archiveAll(t *testing.T) {
	t.Helper()
	head, err := c.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range c.Facts().Partitions {
		part, err := c.manifest.Load(t.Context(), events.Partition(p))
		if err != nil {
			t.Fatal(err)
		}
		var evs []events.Event
		for ev, err := range c.Log.Read(t.Context(), part.ID, part.Head.At, head) {
			if err != nil {
				t.Fatal(err)
			}
			evs = append(evs, ev)
		}
		entry, err := c.store.Write(t.Context(), archive.Range{Partition: part.ID, After: part.Head.At, Upto: head}, func(yield func(events.Event, error) bool) {
			for _, ev := range evs {
				if !yield(ev, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.manifest.Add(t.Context(), &part, entry); err != nil {
			t.Fatal(err)
		}
		merged, err := c.store.Merge(t.Context(), []archive.Entry{entry})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.manifest.Replace(t.Context(), &part, len(part.Entries)-1, len(part.Entries), merged); err != nil {
			t.Fatal(err)
		}
		for _, ev := range evs {
			if _, err := eventstest.Etcd(t).Delete(t.Context(), ev.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// sameEvents fails the test unless two clusters have the same events, by content.
func sameEvents(t *testing.T, want, got map[string]events.Event) {
	t.Helper()
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			t.Errorf("event %s is missing", key)
			continue
		}
		if (w.Damage == nil) != (g.Damage == nil) || g.Sequence != w.Sequence || g.Host != w.Host || g.Zone != w.Zone || g.Upload != w.Upload ||
			!slices.EqualFunc(w.Columns, g.Columns, sameColumn(&w, &g)) {
			t.Errorf("event %s is another one", key)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d events, want %d", len(got), len(want))
	}
}

func sameColumn(w, g *events.Event) func(a, b events.Column) bool {
	return func(a, b events.Column) bool {
		if w.Identities[a.Identity].Compare(&g.Identities[b.Identity]) != 0 || a.Metric != b.Metric || a.Source != b.Source || a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			at, v := a.At(i)
			if bt, bv := b.At(i); at != bt || v != bv {
				return false
			}
		}
		return true
	}
}
