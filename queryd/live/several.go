package live

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// TotalsOf returns the totals of several views at now: the sums and the mean are over all their GPUs. A GPU that is in two views
// counts twice, because views of different clusters know nothing of each other.
func TotalsOf(views []*State, now events.Timestamp) (t projections.Totals) {
	var sums projections.Sums
	hottest := math.Inf(-1)
	for _, s := range views {
		part := s.Totals(now)
		t.Active, t.Stale, t.Missing = t.Active+part.Active, t.Stale+part.Stale, t.Missing+part.Missing
		if part.TemperatureMax != nil {
			hottest = max(hottest, *part.TemperatureMax)
		}
		sums.AddSums(s.totals.sums)
	}
	sums.SetTotals(&t)
	t.SetTemperatureMax(hottest)
	return t
}

// SumNames returns the number of GPUs of each name over several lists, sorted by name.
func SumNames(lists ...[]NameCount) []NameCount {
	sums := make(map[string]NameCount)
	for _, list := range lists {
		for _, n := range list {
			sum := sums[n.Name]
			sums[n.Name] = NameCount{n.Name, sum.GPUs + n.GPUs, sum.All + n.All}
		}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b NameCount) int { return cmp.Compare(a.Name, b.Name) })
}
