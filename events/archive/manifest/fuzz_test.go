package manifest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// FuzzKey reads any key and value below a manifest: a refusal has a text, and an accepted key is the same when it is
// written and read again.
func FuzzKey(f *testing.F) {
	at := events.Revision{Epoch: 7, Cluster: 9, Number: 4}
	entry := archive.Entry{
		Partition: 3, First: events.Revision{Epoch: 7, Cluster: 9, Number: 1}, Last: at, Events: 2, Records: 5, From: -1, To: 8, AppendedFrom: 3,
		Objects: []archive.Object{{Kind: archive.Records, Name: "records/003/x.parquet", Bytes: 3, Hash: "00", Rows: 5}},
	}
	value, err := json.Marshal(entry)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("003/0000000000000000001-0000000000000000004", value)
	f.Add("003/head", []byte(packHead(Head{At: at, Since: at, Events: 3, Records: 1 << 40})))
	f.Add("003/replaced/0000000000000000001-0000000000000000004-00", []byte(`{"objects":["a"],"at":"2025-07-18T20:42:34Z"}`))
	f.Add("3/head", []byte(`{"at":"x"}`))
	f.Add("003/-1-0", []byte(`{"version":2}`))
	m := &Manifest{keys: keys{eventlog.Config{}}, facts: events.Facts{Epoch: 7, Cluster: 9}}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		partition, rest, err := m.keys.parseKey(m.keys.all() + key)
		if err != nil {
			return
		}
		p := Partition{ID: partition}
		if m.unpackKey(&p, rest, &mvccpb.KeyValue{Key: []byte(key), Value: value, ModRevision: 1}) != nil {
			return
		}
		again := Partition{ID: partition}
		written := m.storedKeys(t, &p)
		for name, value := range written {
			id, rest, err := m.keys.parseKey(name)
			if err != nil || id != partition {
				t.Fatalf("key %q, written of %q, is of partition %d: %v", name, key, id, err)
			}
			if err := m.unpackKey(&again, rest, &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), ModRevision: 1}); err != nil {
				t.Fatalf("%q was taken, and what is written of it is not: %v\n%s", key, err, value)
			}
		}
		if diff := cmp.Diff(written, m.storedKeys(t, &again)); diff != "" {
			t.Errorf("written, read and written again (-first +second):\n%s", diff)
		}
		_ = m.checkComplete(&p)
	})
}

// storedKeys returns the keys and values of a partition.
func (m *Manifest) storedKeys(t *testing.T, p *Partition) map[string]string {
	all := map[string]string{}
	if p.headRevision != 0 {
		all[m.keys.head(p.ID)] = packHead(p.Head)
	}
	for i := range p.Entries {
		value, err := json.Marshal(p.Entries[i].Entry)
		if err != nil {
			t.Fatal(err)
		}
		all[m.keys.entry(&p.Entries[i].Entry)] = string(value)
	}
	for _, r := range p.Replaced {
		value, err := json.Marshal(replacedValue{r.Objects, r.At})
		if err != nil {
			t.Fatal(err)
		}
		all[m.keys.partition(p.ID)+replacedName+"x"] = string(value)
	}
	return all
}
