package history

import (
	"math"
	"slices"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Bucket is the readings of one entity on one host in one step of time, summed up.
type Bucket struct {
	At     events.Timestamp // where it begins
	Host   events.HostID
	Entity events.Entity
	// Identity is what is known of the entity today; what may change from one bucket to the next (pod, labels,
	// driver) is left out.
	Identity events.Identity
	Metrics  []Summary // sorted by Metric
}

// Place tells where b stands.
func (b *Bucket) Place() projections.Place {
	return projections.Place{At: b.At, Host: b.Host, Entity: b.Entity}
}

// Summary sums up the numbers of one metric in a bucket; there is at least one.
type Summary struct {
	Metric         string
	Count          int64
	Min, Max, Last events.Number
	LastAt         events.Timestamp
	Sum            float64

	all []events.Number // every number, only for P95; sorted when it is read
}

// averageDigits are the significant digits of an average. Floating point sums of the same readings in
// another order differ behind them.
const averageDigits = 12

// Number gives an aggregate; ok is false when it has no finite value.
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
		return percentile(s.all, 95)
	default:
		return average(s.Sum, s.Count)
	}
}

func average(sum float64, count int64) (events.Number, bool) {
	mean := sum / float64(count)
	if math.IsInf(mean, 0) || math.IsNaN(mean) {
		return events.Number{}, false
	}
	n, err := events.ParseNumber(strconv.FormatFloat(mean, 'e', averageDigits-1, 64))
	return n, err == nil
}

// percentile gives the nearest rank: one of the numbers. It sorts them.
func percentile(all []events.Number, percent int) (events.Number, bool) {
	if len(all) == 0 {
		return events.Number{}, false
	}
	slices.SortFunc(all, events.Number.Compare)
	return all[(len(all)*percent+99)/100-1], true
}

// add counts what other says of other readings of the same metric and bucket.
func (s *Summary) add(other *Summary) {
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
	if newer(other, s) {
		s.Last, s.LastAt = other.Last, other.LastAt
	}
	s.all = append(s.all, other.all...)
}

// newer tells whether a's last reading counts before b's.
func newer(a, b *Summary) bool {
	if a.LastAt != b.LastAt {
		return a.LastAt > b.LastAt
	}
	return (events.Value{Number: a.Last}).Compare(events.Value{Number: b.Last}) > 0
}
