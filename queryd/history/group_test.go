package history

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// flatGroup is a group's point in comparable form.
type flatGroup struct {
	Group, Metric string
	At            events.Timestamp
	Members       int
	Numbers       map[Aggregate]string
}

// TestGroupsAreSumsOfTheirMembers compares groups with what follows from the sums of each of their members, which naiveSums computes
// from all records.
func TestGroupsAreSumsOfTheirMembers(t *testing.T) {
	aggregates := []Aggregate{Avg, Sum, Min, Max, Count}
	for seed, how := range []archiveLayout{{}, {left: true, loose: true, repeated: true}} {
		r := rand.New(rand.NewPCG(uint64(seed), 13))
		whole := denseFleet(r)
		f, shelf := how.splitFleet(t, whole, r)
		s, h := f.viewState(t), New(f, nil)
		h.ReadArchive(shelf)
		for _, step := range []time.Duration{time.Minute, time.Hour} {
			q := Query{Step: step, Limit: MaxPoints, Aggregates: aggregates}
			entries := whole.expectedEntries(Query{Oldest: true, Limit: MaxLimit}, nil)
			for by, nameOf := range map[Grouping]func(e *projections.Entry) string{
				{By: ByCluster}:              func(*projections.Entry) string { return "" },
				{By: ByHost}:                 func(e *projections.Entry) string { return string(e.Host) },
				{By: ByLabel, Label: "pod"}:  func(e *projections.Entry) string { return e.Identity.Pod },
				{By: ByLabel, Label: "none"}: nil,
			} {
				groups, err := h.Groups(t.Context(), s, q, by)
				if err != nil {
					t.Fatal(err)
				}
				var got []flatGroup
				for _, g := range groups {
					for i, at := range g.Starts {
						one := flatGroup{g.Group, g.Metric, at, g.Sums[i].Members, make(map[Aggregate]string)}
						for _, a := range aggregates {
							n, _ := g.Sums[i].Number(a)
							one.Numbers[a] = n.String()
						}
						got = append(got, one)
					}
				}
				if by.Label == "pod" { // identities of one time are merged in entries: only counts of groups are compared
					if len(got) == 0 || slices.ContainsFunc(got, func(g flatGroup) bool { return g.Group == "" }) {
						t.Errorf("%d points by pod, some of them without a pod", len(got))
					}
					continue
				}
				if diff := gocmp.Diff(naiveGroups(entries, q, nameOf), got, gocmp.Comparer(closeNumbers)); diff != "" {
					t.Fatalf("seed %d, step %s, by %+v: (-want +got)\n%s", seed, step, by, diff)
				}
			}
		}
	}
}

// closeNumbers compares the texts of averages, whose last digit depends on the order of a sum.
func closeNumbers(a, b string) bool {
	return a == b || len(a) > 10 && len(b) > 10 && a[:10] == b[:10] && strings.Contains(a, ".")
}

// naiveGroups computes groups from entries; none without nameOf.
func naiveGroups(entries []projections.Entry, q Query, nameOf func(e *projections.Entry) string) (all []flatGroup) {
	if nameOf == nil {
		return nil
	}
	byGroup := make(map[string][]projections.Entry)
	for i := range entries {
		name := nameOf(&entries[i])
		byGroup[name] = append(byGroup[name], entries[i])
	}
	members := q
	members.Aggregates, members.Oldest = []Aggregate{Avg, Min, Max, Count}, true
	for name, some := range byGroup {
		type point struct {
			metric string
			at     events.Timestamp
		}
		sums := make(map[point]*GroupSum)
		for _, b := range naiveSums(some, members) {
			number := func(a Aggregate) events.Number {
				n, err := events.ParseNumber(b.Numbers[a])
				if err != nil {
					panic(err)
				}
				return n
			}
			key := point{b.Metric, b.Place.At}
			if sums[key] == nil {
				sums[key] = new(GroupSum)
			}
			count := number(Count).Mantissa
			for range number(Count).Exponent {
				count *= 10
			}
			sums[key].addMember(&Summary{Count: count, Min: number(Min), Max: number(Max), Sum: number(Avg).Float() * float64(count)})
		}
		for key, sum := range sums {
			one := flatGroup{name, key.metric, key.at, sum.Members, make(map[Aggregate]string)}
			for _, a := range q.Aggregates {
				n, _ := sum.Number(a)
				one.Numbers[a] = n.String()
			}
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b flatGroup) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.At, b.At))
	})
	return all
}
