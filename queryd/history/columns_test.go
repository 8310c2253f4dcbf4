package history

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// walkColumns returns the series on all pages of a query, joined where a page begins within a host's series.
func walkColumns(t *testing.T, h *History, s *live.State, q Query) (all []Series) {
	t.Helper()
	for page := 0; ; page++ {
		next, err := h.Columns(t.Context(), s, q, func(some []Series) error { all = append(all, some...); return nil })
		if err != nil {
			t.Fatalf("page %d of %+v: %v", page, q, err)
		}
		if q.Cursor = next; next == "" {
			break
		}
	}
	if !slices.IsSortedFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), a.Entity.Compare(b.Entity), cmp.Compare(a.Metric, b.Metric))
	}) {
		t.Errorf("series of %+v are out of order", q)
	}
	return all
}

// flatReading is a reading in comparable form.
type flatReading struct {
	Place  projections.Place
	Metric string
	Value  events.Value
}

func compareReadings(a, b flatReading) int {
	return cmp.Or(a.Place.Compare(b.Place), cmp.Compare(a.Metric, b.Metric), a.Value.Compare(b.Value))
}

// flatReadings returns the distinct readings of entries, in order.
func flatReadings(entries []projections.Entry) (all []flatReading) {
	for _, e := range entries {
		for _, r := range e.Readings {
			all = append(all, flatReading{e.Place(), r.Metric(), r.Value()})
		}
	}
	slices.SortFunc(all, compareReadings)
	return slices.CompactFunc(all, func(a, b flatReading) bool { return compareReadings(a, b) == 0 })
}

// TestColumnsAreTheSameHistoryBySeries compares series of readings and of sums with the same computed from all records.
func TestColumnsAreTheSameHistoryBySeries(t *testing.T) {
	for seed, how := range []archiveLayout{{}, {repeated: true, loose: true}, {left: true, loose: true}} {
		r := rand.New(rand.NewPCG(uint64(seed), 12))
		whole := denseFleet(r)
		f, shelf := how.splitFleet(t, whole, r)
		s, h := f.viewState(t), New(f, nil)
		h.ReadArchive(shelf)
		for _, q := range coldQueries() {
			q.Oldest, q.Limit = true, MaxLimit
			entries := whole.expectedEntries(q, q.GPUs)
			for _, limit := range []int{1, MaxPoints} {
				q.Limit = limit
				var got []flatReading
				for _, one := range walkColumns(t, h, s, q) {
					for at, v := range one.Samples.All() {
						got = append(got, flatReading{projections.Place{At: at, Host: one.Host, Entity: one.Entity}, one.Metric, v})
					}
				}
				slices.SortFunc(got, compareReadings)
				if diff := gocmp.Diff(flatReadings(entries), got); diff != "" {
					t.Fatalf("seed %d, query %+v: (-want +got)\n%s", seed, q, diff)
				}
				for _, step := range []time.Duration{time.Minute, time.Hour, 90 * time.Minute} {
					q.Step, q.Aggregates = step, Aggregates()
					if step > time.Minute && r.IntN(2) == 0 {
						q.Aggregates = []Aggregate{Avg, Count}
					}
					if diff := gocmp.Diff(naiveSums(entries, q), flatSums(walkColumns(t, h, s, q), q)); diff != "" {
						t.Fatalf("seed %d, query %+v: (-want +got)\n%s", seed, q, diff)
					}
				}
				q.Step, q.Aggregates = 0, nil
			}
		}
	}
}

// flatSums returns the sums of series in the order of naiveSums.
func flatSums(series []Series, q Query) (all []flatBucket) {
	for _, one := range series {
		for i, at := range one.Starts {
			f := flatBucket{projections.Place{At: at, Host: one.Host, Entity: one.Entity}, one.Metric, make(map[Aggregate]string)}
			for _, a := range q.Aggregates {
				if n, ok := one.Sums[i].Number(a); ok {
					f.Numbers[a] = n.String()
				}
			}
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b flatBucket) int { return cmp.Or(a.Place.Compare(b.Place), cmp.Compare(a.Metric, b.Metric)) })
	return all
}

func TestCursorsOfColumnsAndPagesAreTwo(t *testing.T) {
	f := denseFleet(rand.New(rand.NewPCG(1, 1)))
	s, h := f.viewState(t), New(f, nil)
	q := Query{Limit: 1, Oldest: true}
	next, err := h.Columns(t.Context(), s, q, func([]Series) error { return nil })
	if err != nil || next == "" {
		t.Fatalf("the first page of three hosts has cursor %q, %v", next, err)
	}
	q.Cursor = next
	if _, err := h.Telemetry(t.Context(), s, q); !errors.Is(err, ErrCursor) {
		t.Errorf("a cursor of Columns in Telemetry: %v, want ErrCursor", err)
	}
}
