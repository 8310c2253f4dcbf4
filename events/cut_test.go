package events

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"
)

// recordKey identifies one record of an event in a set.
type recordKey struct {
	host           HostID
	identity       IdentityID
	metric, source string
	at             Timestamp
	value          Value
}

func recordsOf(evs ...Event) map[recordKey]bool {
	out := make(map[recordKey]bool)
	for i := range evs {
		for k := range evs[i].Columns {
			c := &evs[i].Columns[k]
			for at, v := range c.All() {
				out[recordKey{evs[i].Host, evs[i].Identities[c.Identity].ID(), c.Metric, c.Source, at, v}] = true
			}
		}
	}
	return out
}

// randomRows returns rows of a few hosts with all peculiarities of sources: rejected rows, absent readings, repeats,
// any order, several records per row.
func randomRows(seed uint64) []testRow {
	r := random(seed)
	rows := make([]testRow, r.IntN(400))
	for i := range rows {
		rows[i].host, rows[i].size = HostID(fmt.Sprint("h", r.IntN(6))), r.IntN(50)
		for range r.IntN(4) {
			v := someValue(r)
			rows[i].records = append(rows[i].records, Record{
				Identity: &Identity{Index: fmt.Sprint(r.IntN(3))}, Metric: fmt.Sprint("m", r.IntN(4)), Source: fmt.Sprint("s", r.IntN(2)),
				At: Timestamp(r.IntN(50)) * 1e9, Value: v, Text: []byte(v.Raw + v.Number.String()),
			})
		}
		if i > 0 && r.IntN(10) == 0 {
			rows[i] = rows[r.IntN(i)]
		}
	}
	return rows
}

// clonedRows returns the same rows in memory of their own, as another parser would return them.
func clonedRows(rows []testRow) []testRow {
	out := slices.Clone(rows)
	for i := range out {
		out[i].records = slices.Clone(out[i].records)
		for k := range out[i].records {
			r := &out[i].records[k]
			id := *r.Identity
			r.Identity, r.Text = &id, slices.Clone(r.Text)
		}
	}
	return out
}

func TestCutKeepsEveryRecord(t *testing.T) {
	for seed := range uint64(300) {
		rows := randomRows(seed)
		want := make(map[recordKey]bool)
		for _, row := range rows {
			for _, r := range row.records {
				want[recordKey{row.host, r.Identity.ID(), r.Metric, r.Source, r.At, r.Value}] = true
			}
		}
		evs := cutRows(CutRules{EventRecords: 20, EventBytes: 400, OpenRecords: 60, OpenIdentities: 18}, rows)
		for i := range evs {
			if err := evs[i].Check(); err != nil {
				t.Fatalf("seed %d: event %d: %v", seed, i, err)
			}
		}
		if d := diff(want, recordsOf(evs...)); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
	}
}

func TestCutDependsOnRowsAlone(t *testing.T) {
	rules := CutRules{EventRecords: 20, EventBytes: 400, OpenRecords: 60, OpenIdentities: 18}
	for seed := range uint64(300) {
		rows := randomRows(seed)
		want := cutRows(rules, rows)
		if d := diff(want, cutRows(rules, clonedRows(rows))); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
		c := NewCutter(rules, "upload-1", "UTC")
		scrap := make([]byte, 0, 64) // a parser's buffer, overwritten by the next row
		for range 2 {                // a second file in the same cutter
			var got []Event
			for _, row := range clonedRows(rows) {
				scrap = scrap[:0]
				for i := range row.records {
					from := len(scrap)
					scrap = append(scrap, row.records[i].Text...)
					row.records[i].Text = scrap[from:]
				}
				got = append(got, c.Row(row.host, row.size, row.records)...)
			}
			got = append(got, c.Flush()...)
			if d := diff(want, got); d != "" {
				t.Fatalf("seed %d, rows in one buffer (-want +got):\n%s", seed, d)
			}
		}
	}
}

// A cutter that begins another file has nothing of the one before, whose rows were left open.
func TestRestartedCutter(t *testing.T) {
	rules := CutRules{EventRecords: 20, EventBytes: 400, OpenRecords: 60, OpenIdentities: 18}
	c := NewCutter(CutRules{}, "upload-0", "CET")
	for seed := range uint64(300) {
		rows := randomRows(seed)
		c.Restart(rules, "upload-1", "UTC")
		var got []Event
		for _, row := range rows {
			got = append(got, c.Row(row.host, row.size, row.records)...)
		}
		got = append(got, c.Flush()...)
		if d := diff(cutRows(rules, rows), got); d != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
		c.Restart(rules, "upload-2", "")
		for _, row := range randomRows(seed + 1000) {
			c.Row(row.host, row.size, row.records)
		}
	}
}

// naiveCut is the simplest implementation of the cut. It returns the rows of each event, in order of events.
func naiveCut(rules CutRules, rows []testRow) (out [][]int) {
	open := make(map[HostID][]int)
	count := func(rows []testRow, of []int) (n int) {
		for _, i := range of {
			n += max(1, len(rows[i].records))
		}
		return n
	}
	names := func(of []int) int {
		ids := make(map[IdentityID]bool)
		for _, i := range of {
			for _, r := range rows[i].records {
				ids[r.Identity.ID()] = true
			}
		}
		return 1 + len(ids)
	}
	size := func(of []int) (n int) {
		for _, i := range of {
			n += rows[i].size
		}
		return n
	}
	cut := func(h HostID) {
		if slices.ContainsFunc(open[h], func(i int) bool { return len(rows[i].records) > 0 }) {
			out = append(out, open[h])
		}
		delete(open, h)
	}
	for i, row := range rows {
		open[row.host] = append(open[row.host], i)
		if of := open[row.host]; len(of) >= rules.EventRecords || size(of) >= rules.EventBytes {
			cut(row.host)
		}
		for {
			total, most, named := 0, 0, 0
			var fullest HostID
			for _, h := range slices.Sorted(maps.Keys(open)) {
				n := count(rows, open[h])
				total += n
				named += names(open[h])
				if n > most {
					most, fullest = n, h
				}
			}
			if total < rules.OpenRecords && named < rules.OpenIdentities {
				break
			}
			cut(fullest)
		}
	}
	for _, h := range slices.Sorted(maps.Keys(open)) {
		cut(h)
	}
	return out
}

func TestCutFollowsItsRules(t *testing.T) {
	for seed := range uint64(300) {
		r := random(seed)
		rules := CutRules{EventRecords: 1 + r.IntN(30), EventBytes: 1 + r.IntN(800), OpenRecords: 1 + r.IntN(100), OpenIdentities: 1 + r.IntN(40)}
		rows := randomRows(seed)
		got := cutRows(rules, rows)
		want := naiveCut(rules, rows)
		if len(got) != len(want) {
			t.Fatalf("seed %d: got %d events, want %d", seed, len(got), len(want))
		}
		for i, of := range want {
			var alone []testRow
			for _, row := range of {
				alone = append(alone, rows[row])
			}
			if d := diff(cutRows(Uncut(), alone), got[i:i+1]); d != "" {
				t.Fatalf("seed %d: event %d (-want +got):\n%s", seed, i, d)
			}
		}
	}
}

func TestCutOfManyHosts(t *testing.T) {
	const hosts = 5000
	c := NewCutter(CutRules{OpenRecords: 20000}, "", "")
	id := &Identity{Index: "0"}
	total := 0
	for i := range 200_000 {
		host := HostID(fmt.Sprint("host-", i*7919%hosts))
		evs := c.Row(host, 100, []Record{{Identity: id, Metric: "m", Source: "m", At: Timestamp(i), Value: Value{Number: Int(1)}}})
		for k := range evs {
			total += evs[k].Records()
		}
		if c.open >= 20000 || len(c.changed) > 3*hosts {
			t.Fatalf("row %d: %d records open, %d hosts noted", i, c.open, len(c.changed))
		}
	}
	for _, ev := range c.Flush() {
		total += ev.Records()
	}
	if total != 200_000 || c.open != 0 || c.names != 0 || len(c.hosts) != 0 || len(c.heap) != 0 {
		t.Errorf("got %d records, %d open, %d hosts, %d in the heap; want 200000, 0, 0, 0", total, c.open, len(c.hosts), len(c.heap))
	}
}

// fleetReport returns a row for each reading of 2,000 hosts of 8 GPUs, metric by metric.
func fleetReport() []testRow {
	var rows []testRow
	ids := make([]*Identity, 8)
	for i := range ids {
		ids[i] = &Identity{Index: fmt.Sprint(i)}
	}
	for m := range 10 {
		for gpu := range 16_000 {
			name, value := fmt.Sprint("m", m), Int(int64(gpu*7%100))
			rows = append(rows, testRow{host: HostID(fmt.Sprintf("h%04d", gpu/8)), size: 80, records: []Record{{
				Identity: ids[gpu%8], Metric: name, Source: name, At: testStart, Value: Value{Number: value}, Text: []byte(value.String()),
			}}})
		}
	}
	return rows
}

// The cut names events. A log of the first rules must cut as ever; the later rules make an event of each host of a fleet.
func TestCutOfAFleet(t *testing.T) {
	rows := fleetReport()
	for name, c := range map[string]struct {
		rules  CutRules
		events int
		hash   string
	}{
		"form 1":          {CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 100_000, OpenIdentities: Unbounded}, 2786, "beefb326cd5c570e"},
		"form 2":          {CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 1 << 20, OpenIdentities: 1 << 17}, 2000, "a48865b2a48ecc19"},
		"many identities": {CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 1 << 20, OpenIdentities: 10_000}, 14446, "3acb6af4c0018a8e"},
	} {
		evs := cutRows(c.rules, rows)
		var all []byte
		for i := range evs {
			all = append(append(all, evs[i].Host...), evs[i].Sequence[:]...)
		}
		if hash := fmt.Sprintf("%016x", xxh3.Hash(all)); len(evs) != c.events || hash != c.hash {
			t.Errorf("%s: got %d events of hash %s, want %d of %s", name, len(evs), hash, c.events, c.hash)
		}
	}
}

func TestRejectedRows(t *testing.T) {
	c := NewCutter(CutRules{EventRecords: 3, OpenRecords: 100}, "", "")
	for range 10 {
		if evs := c.Row("h", 10, nil); len(evs) > 0 {
			t.Errorf("rejected rows alone returned %d events", len(evs))
		}
	}
	for i := range 1000 {
		c.Row(HostID(fmt.Sprint(i)), 10, nil)
	}
	if len(c.hosts) > 100 {
		t.Errorf("%d hosts of rejected rows are open, want at most 100", len(c.hosts))
	}
	record := []Record{{Identity: &Identity{}, Metric: "m", At: 1, Value: Value{Number: Int(1)}}}
	c = NewCutter(CutRules{EventRecords: 3}, "", "")
	c.Row("h", 10, nil)
	c.Row("h", 10, record)
	if evs := c.Row("h", 10, nil); len(evs) != 1 || evs[0].Records() != 1 {
		t.Errorf("two rejected rows and an accepted one are an event of three rows; got %v", evs)
	}
}

func sequenceOf(host HostID, zone string, records ...Record) ContentHash {
	c := NewCutter(CutRules{}, "", zone)
	c.Row(host, 1, records)
	return c.Flush()[0].Sequence
}

func TestSequence(t *testing.T) {
	base := Record{Identity: &Identity{UUID: "GPU-1"}, Metric: "m", Source: "s", At: 5, Value: Value{Number: Int(7)}, Text: []byte("7")}
	with := func(change func(*Record)) Record {
		r := base
		change(&r)
		return r
	}
	want := sequenceOf("h", "", base)
	for name, same := range map[string]Record{
		"canonical name":    with(func(r *Record) { r.Metric = "other" }),
		"meaning of a text": with(func(r *Record) { r.Value = Value{Absent: Implausible, Raw: "7"} }),
		"equal identity":    with(func(r *Record) { r.Identity = &Identity{UUID: "GPU-1"} }),
	} {
		if got := sequenceOf("h", "", same); got != want {
			t.Errorf("%s: sequence changed from %s to %s", name, want, got)
		}
	}
	seen := map[ContentHash]string{want: "base"}
	for name, got := range map[string]ContentHash{
		"host":        sequenceOf("g", "", base),
		"zone":        sequenceOf("h", "UTC", base),
		"source":      sequenceOf("h", "", with(func(r *Record) { r.Source = "S" })),
		"text":        sequenceOf("h", "", with(func(r *Record) { r.Text = []byte("7.0") })),
		"time":        sequenceOf("h", "", with(func(r *Record) { r.At = 6 })),
		"identity":    sequenceOf("h", "", with(func(r *Record) { r.Identity = &Identity{Index: "GPU-1"} })),
		"label":       sequenceOf("h", "", with(func(r *Record) { r.Identity = &Identity{UUID: "GPU-1", Labels: []Label{{"a", "b"}}} })),
		"twice":       sequenceOf("h", "", base, base),
		"two of it":   sequenceOf("h", "", base, with(func(r *Record) { r.At = 6 })),
		"other order": sequenceOf("h", "", with(func(r *Record) { r.At = 6 }), base),
		"cut name":    sequenceOf("h", "", with(func(r *Record) { r.Source, r.Text = "s7", nil })),
	} {
		if other, found := seen[got]; found {
			t.Errorf("%s has the sequence of %s", name, other)
		}
		seen[got] = name
	}
}

// The sequence of the given records is stored in logs, so it must never change.
func TestSequenceStays(t *testing.T) {
	id := &Identity{UUID: "GPU-1", Index: "0", PCI: "p", Device: "d", Model: "m", Driver: "r", MIG: "1", MIGProfile: "1g",
		Pod: "o", Namespace: "n", Container: "c", Part: "mig:1", Labels: []Label{{"a", "b"}}}
	const want = "1894361505c6eaad50905efcdf2d6a8a"
	if got := sequenceOf("host", "UTC",
		Record{Identity: id, Metric: "m", Source: "power.draw [W]", At: testStart, Text: []byte("627.40 W")},
		Record{Identity: id, Metric: "m", Source: "fan.speed", At: testStart, Value: Value{Absent: NotSupported}, Text: []byte("[N/A]")},
	); got.String() != want {
		t.Errorf("got sequence %s, want %s", got, want)
	}
	if got, want := id.ID(), IdentityID(0xb8449d8167c02cdb); got != want {
		t.Errorf("got identity id %#x, want %#x", got, want)
	}
}

func BenchmarkCutter(b *testing.B) {
	for _, hosts := range []int{1, 1000} {
		rows := dcgmRows(b, hosts, max(1, 100/hosts*8))
		b.Run(fmt.Sprint("hosts=", hosts), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cutRows(CutRules{}, rows)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(rows)), "ns/record")
		})
	}
}
