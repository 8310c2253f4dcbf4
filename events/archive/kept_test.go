package archive

import (
	"math/rand/v2"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
)

// TestAnswersFromMemory asks for the same with room for everything, for a few blocks, and for nothing. Earlier answers must not change
// when other objects are read after them.
func TestAnswersFromMemory(t *testing.T) {
	s := openDir(t)
	type asked struct {
		all []events.Event
		e   Entry
	}
	var entries []asked
	for seed := range uint64(3) {
		all := oddEvents(rand.New(rand.NewPCG(seed, 8)), 150)
		entries = append(entries, asked{all, mustWrite(t, s, rangeUpto(1<<20), all)})
	}
	fleet := collectEvents(t, fleetEvents(1, 60, 100))
	entries = append(entries, asked{fleet, mustWrite(t, s, rangeUpto(1<<20), fleet)})
	for _, room := range []int64{64 << 20, 8 << 10, 1} {
		s.KeepUpTo(room)
		r := rand.New(rand.NewPCG(1, uint64(room)))
		type answer struct{ got, want []events.Event }
		var answers []answer
		for range 15 {
			one, f := entries[r.IntN(len(entries))], oddFilter(r)
			if r.IntN(2) == 0 {
				f = Filter{From: f.From, To: f.To} // of all hosts, GPUs and metrics
			}
			answers = append(answers, answer{scanEvents(t, s, one.e, f), filterEvents(one.all, f)})
		}
		for _, a := range answers {
			sameSet(t, a.got, a.want)
		}
		if stats := s.CacheStats(); stats.Bytes > uint64(room) || room > 1<<20 && stats.Hits == 0 {
			t.Errorf("with room for %d bytes: %+v", room, stats)
		}
	}
}

// TestBucketFields reads columns of rollups in any order, with and without memory.
func TestBucketFields(t *testing.T) {
	s := openDir(t)
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 4))
		e := mustMerge(t, s, splitEntries(t, s, r, oddEvents(r, 200)))
		for _, room := range []int64{64 << 20, 1} {
			s.KeepUpTo(room)
			f := oddFilter(r)
			read := func(fields BucketFields) []Rollup { f.Buckets = fields; return readRollups(t, s, e, f) }
			order := append(r.Perm(3), r.Perm(3)...)
			got := map[BucketFields][]Rollup{}
			for _, i := range order {
				fields := BucketFields(i)
				all := read(fields)
				if diff := gocmp.Diff(got[fields], all, cmpopts.EquateNaNs()); got[fields] != nil && diff != "" {
					t.Fatalf("seed %d: fields %d differ the second time:\n%s", seed, fields, diff)
				}
				got[fields] = all
			}
			for fields, cut := range map[BucketFields]func(Bucket) Bucket{
				SumFields: func(b Bucket) Bucket { return Bucket{Start: b.Start, Count: b.Count, Sum: b.Sum} },
				SumAndTimeFields: func(b Bucket) Bucket {
					return Bucket{Start: b.Start, Count: b.Count, Sum: b.Sum, FirstAt: b.FirstAt, LastAt: b.LastAt}
				},
			} {
				want := read(AllFields)
				for _, one := range want {
					for i, b := range one.Buckets {
						one.Buckets[i] = cut(b)
					}
				}
				if diff := gocmp.Diff(want, got[fields], cmpopts.EquateNaNs()); diff != "" {
					t.Fatalf("seed %d: fields %d alone differ from all (-all +alone):\n%s", seed, fields, diff)
				}
			}
		}
	}
}

func readRollups(t *testing.T, s *Store, e Entry, f Filter) (all []Rollup) {
	t.Helper()
	for one, err := range s.Rollup(t.Context(), e, Hours, f) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// TestOnlyWantedColumnsAreDecoded counts the columns that questions decode.
func TestOnlyWantedColumnsAreDecoded(t *testing.T) {
	s := openDir(t)
	s.KeepUpTo(64 << 20)
	e := mustMerge(t, s, []Entry{mustWrite(t, s, rangeUpto(1<<20), collectEvents(t, fleetEvents(1, 300, 500)))})
	for _, step := range []struct {
		filter Filter
		blocks int64
	}{
		{Filter{Metrics: []string{"nothing"}}, 0},
		{Filter{Buckets: SumFields}, 4}, // the texts, and start, count and sum
		{Filter{Buckets: SumFields}, 0},
		{Filter{Buckets: SumAndTimeFields}, 2}, // the times of the first and of the last
		{Filter{}, 3},
	} {
		step.filter.Cost = new(Cost)
		readRollups(t, s, e, step.filter)
		if got := step.filter.Cost.Blocks.Load(); got != step.blocks {
			t.Errorf("%+v: %d columns were decoded, want %d", step.filter, got, step.blocks)
		}
	}
}

func TestRunsOfAColumn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var rows []int32
		var c changes
		for n := 1 + r.IntN(60); len(rows) < n; {
			value := int32(r.IntN(3))
			for range 1 + r.IntN(20) {
				rows = append(rows, value)
			}
		}
		for at := 0; at < len(rows); {
			n := equalFromStart(rows[at:])
			want := 1
			for at+want < len(rows) && rows[at+want] == rows[at] {
				want++
			}
			if n != want {
				t.Fatalf("%d values of %v are equal, want %d", n, rows[at:], want)
			}
			c.appendChange(int32(at), rows[at])
			at += n
		}
		lo := r.IntN(len(rows))
		hi := lo + 1 + r.IntN(len(rows)-lo)
		some := c.within(int32(lo), int32(hi))
		if last := some[len(some)-1]; some[0].row > int32(lo) || last.row >= int32(hi) {
			t.Fatalf("changes within [%d, %d) of %v: %v", lo, hi, c, some)
		}
		for row := lo; row < hi; row++ {
			if some = some.sinceRow(int32(row)); some[0].value != rows[row] {
				t.Fatalf("row %d of %v has %d by the changes within [%d, %d)", row, rows, some[0].value, lo, hi)
			}
		}
	}
}
