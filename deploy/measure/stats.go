package measure

import (
	"math"
	"slices"
)

// Percentile returns the value that a share of all values (0 to 1) are not above, by nearest rank; NaN of none.
func Percentile(all []float64, share float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(all))
	rank := int(math.Ceil(share*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// Median returns the middle value, or the mean of the two middle ones; NaN of none.
func Median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(all))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// MedianRatio returns the median of ours[i]/theirs[i]. The two values of a pair are measured one after the other, so
// other work on the machine affects both alike. NaN when there is no pair.
func MedianRatio(ours, theirs []float64) float64 {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		ratios = append(ratios, ours[i]/theirs[i])
	}
	return Median(ratios)
}

// Slope returns the median slope between all pairs of points (Theil and Sen's estimate): up to a quarter of the points
// may be outliers without any effect. NaN when there are fewer than two different x.
func Slope(x, y []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := range i {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	return Median(slopes)
}
