package manifest

import (
	"testing"

	"telemetry-pipeline/events"
)

// TestCurrentHoldsWhatIsArchived loads a partition through a Current after each change of its manifest.
func TestCurrentHoldsWhatIsArchived(t *testing.T) {
	r := newRig(t)
	p := r.loadPartition()
	c := NewCurrent(r.manifest)
	load := func(afresh bool) map[events.Partition]*Partition {
		t.Helper()
		all, err := c.Load(t.Context(), []events.Partition{0, r.p}, afresh)
		if err != nil {
			t.Fatal(err)
		}
		if len(all[0].Entries) != 0 {
			t.Errorf("partition 0 has %d entries, want none", len(all[0].Entries))
		}
		return all
	}
	if got := load(false)[r.p]; len(got.Entries) != 0 {
		t.Errorf("a new manifest has %d entries", len(got.Entries))
	}
	for i := range 4 {
		r.appendEvents(10*i, 10)
		r.addEntry(&p, 10)
		if got := load(false)[r.p]; got.Head != p.Head || len(got.Entries) != len(p.Entries) {
			t.Errorf("after entry %d: head %+v, %d entries; want %+v, %d", i, got.Head, len(got.Entries), p.Head, len(p.Entries))
		}
	}
	before := load(false)[r.p]
	if again := load(false)[r.p]; again != before {
		t.Error("a partition that has not changed was loaded again")
	}
	if err := r.mergeEntries(&p, 1, 4); err != nil {
		t.Fatal(err)
	}
	if got := load(false)[r.p]; records(got) != records(&p) {
		t.Errorf("after a merge: %d records listed, want %d", records(got), records(&p))
	}
	if got := load(true)[r.p]; len(got.Entries) != len(p.Entries) {
		t.Errorf("loaded afresh after a merge: %d entries, want %d", len(got.Entries), len(p.Entries))
	}
	if err := r.manifest.Drop(t.Context(), &p, 1, r.guard); err != nil {
		t.Fatal(err)
	}
	if got := load(false)[r.p]; got.Head != p.Head || len(got.Entries) != len(p.Entries) {
		t.Errorf("after a drop: %d entries, want %d", len(got.Entries), len(p.Entries))
	}
}

func records(p *Partition) (n int64) {
	for _, e := range p.Overlapping(0, 1<<62) {
		n += e.Records
	}
	return n
}
