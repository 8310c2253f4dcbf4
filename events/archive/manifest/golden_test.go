package manifest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/goldentest"
)

func goldenManifest() *Manifest {
	cfg := eventlog.Config{ClusterID: "a/b_c"}
	return &Manifest{keys: keys{cfg}, facts: events.Facts{Epoch: 0x0538c7441940ea1a, Cluster: 0x8926787b21c748d9}}
}

func TestStoredHeads(t *testing.T) {
	m := goldenManifest()
	heads := map[string]Head{
		"head":       {At: m.revisionOf(512), Since: m.revisionOf(128), Events: 40, Records: 80000},
		"head-first": {At: m.revisionOf(1)},
	}
	for name, h := range heads {
		goldentest.CheckWrittenText(t, name, 1, packHead(h))
	}
	goldentest.CheckReadable(t, "head", 1, heads, m.unpackHead)
}

func TestStoredReplaced(t *testing.T) {
	m := goldenManifest()
	values := map[string]replacedValue{"replaced": {
		Objects: []string{"records/036/a.parquet", "events/036/b.parquet"}, At: time.Date(2025, 7, 18, 20, 42, 35, 1, time.UTC),
	}}
	for name, v := range values {
		goldentest.CheckWrittenText(t, name, 1, packJSON(v))
	}
	goldentest.CheckReadable(t, "replaced", 1, values, func(value []byte) (replacedValue, error) {
		var p Partition
		err := m.unpackKey(&p, replacedName+"x", &mvccpb.KeyValue{Value: value})
		if err != nil {
			return replacedValue{}, err
		}
		return replacedValue{p.Replaced[0].Objects, p.Replaced[0].At}, nil
	})
}

func TestStoredManifestKeys(t *testing.T) {
	m := goldenManifest()
	e := &archive.Entry{Partition: 36, First: m.revisionOf(1), Last: m.revisionOf(512)}
	goldentest.CheckWrittenText(t, "keys", 1, strings.Join([]string{
		m.keys.all(), m.keys.partition(36), m.keys.head(36), m.keys.entry(e), m.keys.replaced(e, []string{"records/036/a.parquet", "b"}),
	}, "\n"))
}

// TestLaterManifestsAreRefused reads values that a later version may write.
func TestLaterManifestsAreRefused(t *testing.T) {
	m := goldenManifest()
	entry, err := json.Marshal(archive.Entry{Partition: 36, First: m.revisionOf(1), Last: m.revisionOf(512)})
	if err != nil {
		t.Fatal(err)
	}
	head := packHead(Head{At: m.revisionOf(512), Events: 40})
	for _, later := range []struct{ name, value string }{
		{"0000000000000000001-0000000000000000512", strings.Replace(string(entry), `"version":1`, `"version":2`, 1)},
		{headName, `{"at":512,"events":40}`},
		{headName, strings.Replace(head, "{", `{"version":2,`, 1)},
		{replacedName + "x", `{"objects":"records/036/a.parquet"}`},
		{replacedName + "x", `{"version":2,"names":["records/036/a.parquet"],"at":"2025-07-18T20:42:35Z"}`},
	} {
		p := Partition{ID: 36}
		if err := m.unpackKey(&p, later.name, &mvccpb.KeyValue{Key: []byte(later.name), Value: []byte(later.value)}); err == nil {
			t.Errorf("%s: %s is read as %+v, want an error", later.name, later.value, p)
		}
	}
}
