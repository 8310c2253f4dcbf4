package manifest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventstest"
)

// checkStored compares a writer's copy of a partition with the stored keys.
func (r *rig) checkStored(p *Partition) {
	r.t.Helper()
	got := r.loadPartition()
	if diff := cmp.Diff(*p, got, cmp.AllowUnexported(Partition{}, Listed{}, Replaced{}), cmpopts.EquateEmpty()); diff != "" {
		r.t.Errorf("what is stored differs from what the writer knows (-writer +stored):\n%s", diff)
	}
}

func TestEntriesAreListedReplacedAndDropped(t *testing.T) {
	r := newRig(t)
	p := r.loadPartition()
	if p.Head.At.Number != 0 || len(p.Entries) != 0 {
		t.Fatalf("a new manifest has %+v", p)
	}
	for i := range 5 {
		r.appendEvents(10*i, 10)
		r.addEntry(&p, 10)
		r.checkStored(&p)
	}
	if p.Head.Events != 50 || p.Head.Records != 100 || len(p.Entries) != 5 {
		t.Errorf("the head counts %d events, %d records in %d entries, want 50, 100 in 5", p.Head.Events, p.Head.Records, len(p.Entries))
	}
	if err := r.mergeEntries(&p, 1, 4); err != nil {
		t.Fatal(err)
	}
	r.checkStored(&p)
	if len(p.Entries) != 3 || len(p.Replaced) != 1 || len(p.Replaced[0].Objects) != 6 || p.Head.Events != 50 {
		t.Errorf("after a merge: %d entries, replaced %+v, head %+v", len(p.Entries), p.Replaced, p.Head)
	}
	if err := r.mergeEntries(&p, 0, 1); err != nil { // alone, for its rollups
		t.Fatal(err)
	}
	r.checkStored(&p)
	if err := r.manifest.Drop(t.Context(), &p, 2, r.guard); err != nil {
		t.Fatal(err)
	}
	r.checkStored(&p)
	if p.Head.Since.Number != p.Entries[0].First.Number-1 || len(p.Entries) != 1 {
		t.Errorf("after a drop: %+v", p)
	}
	for len(p.Replaced) > 0 {
		if err := r.manifest.DeleteReplaced(t.Context(), &p, p.Replaced[0], r.guard); err != nil {
			t.Fatal(err)
		}
		r.checkStored(&p)
	}
	from, to := p.Entries[0].From, p.Entries[0].To
	for _, c := range []struct {
		from, to events.Timestamp
		want     int
	}{{from, to, 1}, {to, to + 1, 1}, {to + 1, to + 2, 0}, {from - 1, from, 0}} {
		if got := len(p.Overlapping(c.from, c.to)); got != c.want {
			t.Errorf("%d entries overlap %d..%d of %d..%d, want %d", got, c.from, c.to, from, to, c.want)
		}
	}
}

// A writer that lost its claim, or has an outdated copy, changes nothing.
func TestFencedAndLateChangesAreRefused(t *testing.T) {
	r := newRig(t)
	p := r.loadPartition()
	r.appendEvents(0, 30)
	r.addEntry(&p, 7)
	r.addEntry(&p, 7)
	late := p
	r.addEntry(&p, 7)
	before := r.loadPartition()
	changes := map[string]func(*Partition, clientv3.Cmp) error{
		"add": func(at *Partition, guard clientv3.Cmp) error {
			return r.manifest.Add(t.Context(), at, r.writeEntry(at, 30), guard)
		},
		"replace": func(at *Partition, guard clientv3.Cmp) error {
			e, err := r.store.Merge(t.Context(), []archive.Entry{at.Entries[0].Entry, at.Entries[1].Entry})
			if err != nil {
				return err
			}
			return r.manifest.Replace(t.Context(), at, 0, 2, e, guard)
		},
		"drop": func(at *Partition, guard clientv3.Cmp) error { return r.manifest.Drop(t.Context(), at, 1, guard) },
	}
	stranger := clientv3.Compare(clientv3.CreateRevision(r.owner), "=", 1)
	for name, change := range changes {
		at := p
		if err := change(&at, stranger); !errors.Is(err, ErrFenced) {
			t.Errorf("%s without the claim: got %v, want ErrFenced", name, err)
		}
		at = late
		at.Entries = append([]Listed{}, late.Entries...)
		if name == "replace" {
			at.Entries[1].revision--
		}
		if err := change(&at, r.guard); !errors.Is(err, ErrChanged) {
			t.Errorf("%s of what was: got %v, want ErrChanged", name, err)
		}
	}
	r.checkStored(&before)
	if err := r.manifest.Add(t.Context(), &late, p.Entries[2].Entry); err != nil {
		t.Errorf("the same entry again: %v, want none: it is listed", err)
	}
	if err := r.manifest.Add(t.Context(), &p, p.Entries[0].Entry, r.guard); err == nil {
		t.Error("an entry that does not follow the head is listed")
	}
}

// A request whose answer is lost is repeated, and the change is applied once.
func TestLostAnswersAreNoSecondChange(t *testing.T) {
	r := newRig(t)
	p := r.loadPartition()
	r.appendEvents(0, 40)
	lose := func() {
		failed := false
		r.kv.After = func(call string) error {
			if call != "txn" || failed {
				return nil
			}
			failed = true
			return rpctypes.ErrTimeout
		}
	}
	lose()
	r.addEntry(&p, 10)
	r.checkStored(&p)
	r.addEntry(&p, 10)
	lose()
	if err := r.mergeEntries(&p, 0, 2); err != nil {
		t.Fatal(err)
	}
	r.checkStored(&p)
	lose()
	if err := r.manifest.Drop(t.Context(), &p, 1, r.guard); err != nil {
		t.Fatal(err)
	}
	r.checkStored(&p)
}

func TestDamageIsReported(t *testing.T) {
	r := newRig(t)
	p := r.loadPartition()
	r.appendEvents(0, 30)
	r.addEntry(&p, 7)
	r.addEntry(&p, 7)
	r.addEntry(&p, 7)
	etcd := eventstest.Etcd(t)
	for name, damage := range map[string]clientv3.Op{
		"a gap":            clientv3.OpDelete(r.manifest.keys.entry(&p.Entries[1].Entry)),
		"no head":          clientv3.OpDelete(r.manifest.keys.head(r.p)),
		"no JSON":          clientv3.OpPut(r.manifest.keys.entry(&p.Entries[1].Entry), "{"),
		"of another range": clientv3.OpPut(r.manifest.keys.entry(&p.Entries[1].Entry), packEntry(&p.Entries[0].Entry)),
		"a strange name":   clientv3.OpPut(r.manifest.keys.partition(r.p)+"1-2", "{}"),
	} {
		kv, err := etcd.Get(t.Context(), r.manifest.keys.partition(r.p), clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := etcd.Do(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		_, err = r.manifest.Load(t.Context(), r.p)
		if _, ok := errors.AsType[*DamagedError](err); !ok {
			t.Errorf("%s: got %v, want a DamagedError", name, err)
		}
		if _, err := etcd.Delete(t.Context(), r.manifest.keys.partition(r.p), clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		for _, one := range kv.Kvs {
			if _, err := etcd.Put(t.Context(), string(one.Key), string(one.Value)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.manifest.LoadAll(context.Background()); err != nil {
		t.Errorf("restored: %v", err)
	}
}
