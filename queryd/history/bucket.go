package history

import (
	"math"
	"slices"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Bucket summarizes the readings of one entity on one host in one step of time.
type Bucket struct {
	At     events.Timestamp // its beginning
	Host   events.HostID
	Entity events.Entity
	// Identity is the entity's current identity, without the fields that may change between buckets (pod, labels,
	// driver).
	Identity events.Identity
	Metrics  []Summary // sorted by Metric
}

// Place returns b's position in the order of a page.
func (b *Bucket) Place() projections.Place {
	return projections.Place{At: b.At, Host: b.Host, Entity: b.Entity}
}

// Summary summarizes the numbers of one metric in a bucket; there is at least one.
type Summary struct {
	Metric         string
	Count          int64
	Min, Max, Last events.Number
	LastAt         events.Timestamp
	Sum            float64

	all []events.Number // every number, only for P95; sorted on reading
}

// averageDigits is the number of significant digits of an average. Floating-point sums of the same readings in another order differ
// behind the steadyDigits: an average that lies between two of averageDigits is first rounded to these, so that it becomes the same one
// in any order.
const (
	averageDigits = 12
	steadyDigits  = 14
)

// Number returns the value of an aggregate; ok is false when it has no finite value.
func (s *Summary) Number(a Aggregate) (n events.Number, ok bool) {
	switch a {
	case Min:
		return s.Min, true
	case Max:
		return s.Max, true
	case Last:
		return s.Last, true
	case Count:
		return events.Int(s.Count), true
	case P95:
		return nearestRank(s.all, 95)
	default:
		return averageOf(s.Sum, s.Count)
	}
}

func averageOf(sum float64, count int64) (events.Number, bool) {
	mean := sum / float64(count)
	if math.IsInf(mean, 0) || math.IsNaN(mean) {
		return events.Number{}, false
	}
	steady, err := events.ParseNumber(strconv.FormatFloat(mean, 'e', steadyDigits-1, 64))
	return roundNumber(steady, averageDigits), err == nil
}

// roundNumber rounds a number to so many significant digits, half away from zero.
func roundNumber(n events.Number, digits int) events.Number {
	unit := int64(1)
	for m := n.Mantissa / powerOfTen(digits); m != 0; m /= 10 {
		unit *= 10
		n.Exponent++
	}
	half := unit / 2
	if n.Mantissa < 0 {
		half = -half
	}
	return events.NumberOf((n.Mantissa+half)/unit, n.Exponent)
}

func powerOfTen(n int) (p int64) {
	for p = 1; n > 0; n-- {
		p *= 10
	}
	return p
}

// nearestRank returns the percentile by nearest rank, so it is one of the numbers. It sorts them.
func nearestRank(all []events.Number, percent int) (events.Number, bool) {
	if len(all) == 0 {
		return events.Number{}, false
	}
	slices.SortFunc(all, events.Number.Compare)
	return all[(len(all)*percent+99)/100-1], true
}

// mergeSummary adds a summary of other readings of the same metric and bucket.
func (s *Summary) mergeSummary(other *Summary) {
	if s.Count == 0 {
		*s = *other
		return
	}
	s.Count += other.Count
	s.Sum += other.Sum
	if other.Min.Compare(s.Min) < 0 {
		s.Min = other.Min
	}
	if other.Max.Compare(s.Max) > 0 {
		s.Max = other.Max
	}
	if isNewer(other, s) {
		s.Last, s.LastAt = other.Last, other.LastAt
	}
	s.all = append(s.all, other.all...)
}

// isNewer reports whether a's last reading comes after b's.
func isNewer(a, b *Summary) bool {
	if a.LastAt != b.LastAt {
		return a.LastAt > b.LastAt
	}
	return (events.Value{Number: a.Last}).Compare(events.Value{Number: b.Last}) > 0
}
