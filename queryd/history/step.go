package history

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"telemetry-pipeline/events"
)

// Aggregate is a way to combine the readings of a bucket into one number.
type Aggregate string

// The aggregates. They ignore absent readings, and equal readings of one time count once, from any number of sources.
// P95 is the smallest reading that is not exceeded by at least 95 % of all.
const (
	Avg   Aggregate = "avg"
	Min   Aggregate = "min"
	Max   Aggregate = "max"
	Last  Aggregate = "last"
	P95   Aggregate = "p95"
	Count Aggregate = "count"

	// Sum is an aggregate of groups alone (Groups).
	Sum Aggregate = "sum"
)

// Aggregates returns all aggregates in the order in which they are shown.
func Aggregates() []Aggregate { return []Aggregate{Avg, Min, Max, Last, P95, Count} }

// The bounds of a step. P95 keeps every reading of a bucket in memory, so it does not allow long steps.
const (
	MinStep    = time.Second
	MaxStep    = 366 * 24 * time.Hour
	MaxP95Step = 24 * time.Hour
)

// StepSyntax describes the values of a step parameter, for error texts.
const StepSyntax = "a duration of whole seconds such as 30s, 1m, 1h30m or 1d, from 1s to 366d"

var errStep = errors.New("not a step")

// ParseStep parses a step: numbers with units d, h, m, s, each at most once and in this order.
func ParseStep(s string) (time.Duration, error) {
	units := []byte("dhms")
	var sum time.Duration
	for rest := s; ; {
		i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if i < 1 || i > 9 {
			return 0, errStep
		}
		at := slices.Index(units, rest[i])
		n, err := strconv.ParseInt(rest[:i], 10, 64)
		if at < 0 || err != nil || n > int64(MaxStep/unitOf(rest[i])) {
			return 0, errStep
		}
		sum += time.Duration(n) * unitOf(rest[i])
		units = units[at+1:]
		if rest = rest[i+1:]; rest == "" {
			break
		}
	}
	if sum < MinStep || sum > MaxStep {
		return 0, errStep
	}
	return sum, nil
}

// ParseAggregates parses the aggregates of a query. The name raw stands alone and without a step; the others require
// a step. The error lists the valid names.
func ParseAggregates(names []string, step time.Duration) ([]Aggregate, error) {
	var all []Aggregate
	for _, name := range names {
		a := Aggregate(name)
		switch {
		case name == raw && step == 0 && len(names) == 1:
			return nil, nil
		case name == raw:
			return nil, errRaw
		case !slices.Contains(Aggregates(), a):
			return nil, fmt.Errorf("%q is none of %s", name, AggregatesSyntax())
		case step == 0:
			return nil, errNoStep
		case a == P95 && step > MaxP95Step:
			return nil, ErrP95Step
		case !slices.Contains(all, a):
			all = append(all, a)
		}
	}
	return all, nil
}

// ParseGroupAggregates parses the aggregates of a query of Groups.
func ParseGroupAggregates(names []string) ([]Aggregate, error) {
	var all []Aggregate
	for _, name := range names {
		if a := Aggregate(name); !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, CheckGroup(all)
}

const raw = "raw" // readings without aggregates

var (
	errRaw    = errors.New("raw goes alone and without step: raw readings are not summed up")
	errNoStep = errors.New("an aggregate needs a step beside it, such as step 1h; without step there is only raw")
)

// AggregatesSyntax describes the values of an aggregates parameter, for error texts.
func AggregatesSyntax() string {
	words := []string{raw}
	for _, a := range Aggregates() {
		words = append(words, string(a))
	}
	return strings.Join(words, ", ")
}

// checkStep returns an error if a query's step and aggregates cannot be answered.
func checkStep(q Query) error {
	switch {
	case q.Step < MinStep || q.Step > MaxStep || q.Step%time.Second != 0:
		return fmt.Errorf("asking for buckets of %s: %w: use %s", q.Step, errStep, StepSyntax)
	case slices.Contains(q.Aggregates, P95) && q.Step > MaxP95Step:
		return ErrP95Step
	}
	for _, a := range q.Aggregates {
		if !slices.Contains(Aggregates(), a) {
			return fmt.Errorf("asking for aggregate %q: there are %v", a, Aggregates())
		}
	}
	return nil
}

// slotOf returns the number of the bucket with an instant, counted from the Unix epoch.
func slotOf(at events.Timestamp, step time.Duration) int64 {
	slot := int64(at) / int64(step)
	if int64(at)%int64(step) < 0 {
		slot--
	}
	return slot
}

// slotStart returns a bucket's first instant, or the smallest timestamp.
func slotStart(slot int64, step time.Duration) events.Timestamp {
	if slot < math.MinInt64/int64(step) {
		return math.MinInt64
	}
	return events.Timestamp(slot * int64(step))
}

// slotEnd returns a bucket's last instant, or the largest timestamp.
func slotEnd(slot int64, step time.Duration) events.Timestamp {
	if slot >= math.MaxInt64/int64(step) {
		return math.MaxInt64
	}
	return events.Timestamp((slot+1)*int64(step) - 1)
}
