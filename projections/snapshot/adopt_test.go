package snapshot

import (
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
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
