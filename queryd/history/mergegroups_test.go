package history

import (
	"errors"
	"testing"

	"telemetry-pipeline/events"
)

func TestMergeGroups(t *testing.T) {
	t.Parallel()
	sum := func(members int, averages float64, count, least, most int64) GroupSum {
		return GroupSum{Members: members, Averages: averages, Count: count, Min: events.Int(least), Max: events.Int(most)}
	}
	a := []GroupSeries{
		{Group: "A100", Metric: "m", Members: 1, Starts: []events.Timestamp{10, 30}, Sums: []GroupSum{sum(1, 10, 4, 5, 15), sum(1, 30, 4, 30, 30)}},
		{Group: "H100", Metric: "m", Members: 2, Starts: []events.Timestamp{10}, Sums: []GroupSum{sum(2, 20, 8, 1, 19)}},
	}
	b := []GroupSeries{{Group: "A100", Metric: "m", Members: 3, Starts: []events.Timestamp{10, 20}, Sums: []GroupSum{sum(3, 90, 12, 20, 40), sum(3, 60, 12, 0, 50)}}}
	got, err := MergeGroups(10, a, b)
	if err != nil || len(got) != 2 || got[0].Group != "A100" || got[0].Members != 4 || len(got[0].Starts) != 3 || got[1].Members != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i, want := range []map[Aggregate]string{
		{Avg: "25", Sum: "100", Min: "5", Max: "40", Count: "16"}, // the mean is over the four members, not over two clusters
		{Avg: "20", Sum: "60", Min: "0", Max: "50", Count: "12"},
		{Avg: "30", Sum: "30", Min: "30", Max: "30", Count: "4"},
	} {
		for aggregate, number := range want {
			if n, ok := got[0].Sums[i].Number(aggregate); !ok || string(n.Append(nil)) != number {
				t.Errorf("sum %d: %s is %s, want %s", i, aggregate, n.Append(nil), number)
			}
		}
	}
	if a[0].Sums[0].Count != 4 {
		t.Error("merging changed a part")
	}
	if _, err := MergeGroups(3, a, b); !errors.Is(err, ErrPoints) {
		t.Errorf("more than the limit: got %v", err)
	}
}
