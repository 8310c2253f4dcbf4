package snapshot

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// AdoptOffsets writes offsets back, so an offset of a later form must be refused before its other members are lost.
func TestOffsetsOfALaterFormAreNotAdopted(t *testing.T) {
	f := newFixture(t)
	c := f.foldEvents(7)
	guard := f.claimPartition(0)
	f.saveCommit(0, c, guard)
	all, err := f.client.Get(t.Context(), f.keys.offsetsPrefix(generation), clientv3.WithPrefix())
	if err != nil || len(all.Kvs) != 1 {
		t.Fatalf("%d offsets are stored (%v), want 1", len(all.Kvs), err)
	}
	key, later := string(all.Kvs[0].Key), strings.Replace(string(all.Kvs[0].Value), `{"version":2,`, `{"version":3,`, 1)
	if _, err := f.client.Put(t.Context(), key, later); err != nil {
		t.Fatal(err)
	}
	if n, err := f.AdoptOffsets(t.Context(), f.facts.Epoch); err == nil {
		t.Errorf("%d offsets were adopted, want an error", n)
	}
	if now, err := f.client.Get(t.Context(), key); err != nil || string(now.Kvs[0].Value) != later {
		t.Errorf("the offset is now %v (%v), want %s", now.Kvs, err, later)
	}
}

// Programs of the older version read the offsets of their generation after a restore, so those keep their form.
func TestAdoptedOffsetsKeepTheirForm(t *testing.T) {
	f := newFixture(t)
	log := fmt.Sprintf(`"%x","cluster":"%x"`, f.facts.Epoch, f.facts.Cluster)
	forms := map[events.Partition][2]string{
		0: {`{"epoch":"77","cluster":"99","live":6,"series":5,"hot_from":4,"records":3,"mark":"m-1"}`, `{"epoch":` + log + `,"live":6,"series":5,"hot_from":4,"records":3,"mark":"m-1"}`},
		1: {`{"version":2,"epoch":{"id":"77","cluster":"99"},"live":6,"series":5,"hot_from":4,"records":3,"mark":"m-1"}`,
			`{"version":2,"epoch":{"id":` + log + `},"live":6,"series":5,"hot_from":4,"records":3,"mark":"m-1"}`},
		2: {`{"epoch":"78","cluster":"99","live":6,"series":5,"hot_from":4,"mark":"m-1"}`, `{"epoch":"78","cluster":"99","live":6,"series":5,"hot_from":4,"mark":"m-1"}`},
	}
	for p, form := range forms {
		if _, err := f.client.Put(t.Context(), f.keys.offsetKey(generation, p), form[0]); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.AdoptOffsets(t.Context(), 0x77); n != 2 || err != nil {
		t.Errorf("%d offsets were adopted (%v), want 2", n, err)
	}
	for p, form := range forms {
		if now, err := f.client.Get(t.Context(), f.keys.offsetKey(generation, p)); err != nil || string(now.Kvs[0].Value) != form[1] {
			t.Errorf("the offset of partition %d is now %v (%v), want %s", p, now.Kvs, err, form[1])
		}
	}
}
