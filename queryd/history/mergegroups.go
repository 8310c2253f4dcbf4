package history

import (
	"cmp"
	"slices"

	"telemetry-pipeline/events"
)

// MergeGroups joins the groups of several histories: members of groups of one name and metric are members of one group. It returns
// ErrPoints if the groups have more than the given number of points.
func MergeGroups(most int, parts ...[]GroupSeries) ([]GroupSeries, error) {
	all := slices.Concat(parts...)
	order := func(a, b GroupSeries) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Metric, b.Metric))
	}
	slices.SortStableFunc(all, order)
	points := 0
	var merged []GroupSeries
	for _, s := range all {
		if n := len(merged); n > 0 && order(merged[n-1], s) == 0 {
			points -= len(merged[n-1].Starts)
			merged[n-1] = mergeSeries(&merged[n-1], &s)
		} else {
			merged = append(merged, s)
		}
		if points += len(merged[len(merged)-1].Starts); points > most {
			return nil, errGroups
		}
	}
	return merged, nil
}

// mergeSeries returns the series of the members of both.
func mergeSeries(a, b *GroupSeries) GroupSeries {
	out := GroupSeries{Group: a.Group, Metric: a.Metric, Members: a.Members + b.Members}
	sums := make(map[events.Timestamp]GroupSum, len(a.Starts)+len(b.Starts))
	for _, s := range []*GroupSeries{a, b} {
		for i, at := range s.Starts {
			sum, known := sums[at]
			if known {
				sum.addSum(&s.Sums[i])
			} else {
				sum = s.Sums[i]
				out.Starts = append(out.Starts, at)
			}
			sums[at] = sum
		}
	}
	slices.Sort(out.Starts)
	for _, at := range out.Starts {
		out.Sums = append(out.Sums, sums[at])
	}
	return out
}

// addSum adds the members of another sum.
func (s *GroupSum) addSum(other *GroupSum) {
	s.Members += other.Members
	s.Count += other.Count
	s.addAverage(other.Averages)
	s.rest += other.rest
	if other.Min.Compare(s.Min) < 0 {
		s.Min = other.Min
	}
	if other.Max.Compare(s.Max) > 0 {
		s.Max = other.Max
	}
}
