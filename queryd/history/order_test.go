package history

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// manyHosts returns a fleet of hosts with one GPU and one reading each.
func manyHosts(values ...int64) (*fleet, []events.GPUID) {
	f := newFleet()
	var gpus []events.GPUID
	for i, v := range values {
		id := gpuIdentity(i+1, 0)
		gpus = append(gpus, events.GPUID(id.UUID))
		f.addRow(events.HostID(fmt.Sprintf("host-%02d", i)), id, start, events.Record{Metric: power, Value: events.Value{Number: events.Int(v)}})
	}
	return f, gpus
}

// GPUs that are named without their hosts are answered by host, so that the pages of an answer have each once.
func TestPagesOfGPUsOnManyHostsHaveEachOnce(t *testing.T) {
	f, gpus := manyHosts(make([]int64, 90)...)
	s, h := f.viewState(t), New(f, nil)
	for _, step := range []time.Duration{0, time.Hour} {
		q := Query{GPUs: gpus, Step: step, Limit: 7, Oldest: true, Aggregates: []Aggregate{Avg}}
		var got []events.GPUID
		for _, one := range walkColumns(t, h, s, q) {
			got = append(got, one.Entity.GPU)
		}
		if !slices.Equal(got, gpus) {
			t.Errorf("step %s: series of %d GPUs, not each of %d once: %v", step, len(got), len(gpus), got)
		}
	}
}

// A sum of averages keeps what large numbers that cancel each other hide, and is the same each time.
func TestSumsOfGroupsKeepSmallNumbersBesideLargeOnes(t *testing.T) {
	f, _ := manyHosts(1e17, 6, 6, -1e17, 6, 1e17, -1e17)
	s, h := f.viewState(t), New(f, nil)
	for range 20 {
		groups, err := h.Groups(t.Context(), s, Query{Step: time.Hour, Limit: MaxPoints, Aggregates: []Aggregate{Sum}}, Grouping{By: ByCluster})
		if err != nil || len(groups) != 1 {
			t.Fatalf("%d groups, %v", len(groups), err)
		}
		if n, _ := groups[0].Sums[0].Number(Sum); n != events.Int(18) {
			t.Fatalf("the sum is %s, want 18", n)
		}
	}
}

func TestAverageIsTheSameInAnyOrderOfItsSum(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		sum   float64
		count int64
		want  string
	}{
		{52446.481, 128, "409.738132813"}, // 409.7381328125 lies between two of 12 digits
		{-52446.481, 128, "-409.738132813"},
		{2, 3, "0.666666666667"},
		{999_999_999_999.96, 1, "1000000000000"},
		{1e300, 1, "1e300"},
		{0, 5, "0"},
		{87, 1, "87"},
	} {
		for _, sum := range []float64{tt.sum, math.Nextafter(tt.sum, math.Inf(1)), math.Nextafter(tt.sum, math.Inf(-1))} {
			if n, ok := averageOf(sum, tt.count); !ok || tt.sum != 0 && n.String() != tt.want {
				t.Errorf("%v / %d: %s, want %s", sum, tt.count, n, tt.want)
			}
		}
	}
	if n, ok := averageOf(0, 5); !ok || n != (events.Number{}) {
		t.Errorf("the average of nothing but 0 is %s", n)
	}
}
