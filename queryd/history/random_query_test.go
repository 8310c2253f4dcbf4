package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
)

// question is a query and the form of its answer.
type question struct {
	form  string
	q     Query
	scope access.Scope
	by    Grouping
	at    events.Timestamp // of a question about a past state
}

// String returns the question for people.
func (q *question) String() string {
	text := fmt.Sprintf("%s, scope %q, hosts %q, GPUs %q, metrics %q, step %s, aggregates %q, oldest %v, limit %d",
		q.form, q.scope, q.q.Hosts, q.q.GPUs, q.q.Metrics, q.q.Step, q.q.Aggregates, q.q.Oldest, q.q.Limit)
	if q.q.HasFrom {
		text += fmt.Sprintf(", from %s", q.q.From)
	}
	if q.q.HasTo {
		text += fmt.Sprintf(", to %s", q.q.To)
	}
	if q.by.By != "" {
		text += fmt.Sprintf(", by %s %s", q.by.By, q.by.Label)
	}
	if q.form == "as of" {
		text += fmt.Sprintf(", at %s", q.at)
	}
	return text
}

// randomScope returns everything, or any part of the fleet.
func randomScope(t testing.TB, r *rand.Rand) access.Scope {
	texts := []string{"*", "*", "*", "host=host-0", "host=host-?", "host=none", "host=host-1,host=host-2", "host=*-0,host=host-3", "namespace=ns-pod-a", "namespace=ns-*", "host=host-0,host=host-2,namespace=ns-pod-b"}
	scope, err := access.ParseScope(texts[r.IntN(len(texts))])
	if err != nil {
		t.Fatal(err)
	}
	return scope
}

// randomQuestion returns any question.
func (a *asker) randomQuestion(r *rand.Rand) *question {
	q := &question{q: a.randomQuery(r), scope: a.facts.scope}
	switch n := r.IntN(20); {
	case n < 4:
		q.form = "telemetry"
	case n < 9:
		q.form, q.q.Step = "buckets", randomStepLength(r)
	case n < 12:
		q.form = "columns"
	case n < 15:
		q.form, q.q.Step = "columns by step", randomStepLength(r)
	case n < 19:
		q.q.Step = randomStepLength(r)
		q.by = []Grouping{{By: ByCluster}, {By: ByHost}, {By: ByModel}, {By: ByLabel, Label: "pod"}, {By: ByLabel, Label: "job"}, {By: ByLabel, Label: "none"}}[r.IntN(6)]
		q.form = "groups by " + q.by.By
		q.q.Aggregates = randomAggregates(r, []Aggregate{Avg, Sum, Min, Max, Count})
	default:
		q.form, q.at = "as of", a.randomTime(r)
		if a.lateName { // in the hour of the instant the identity may know more
			q.form = "telemetry"
		}
	}
	if q.q.Step > 0 && q.by.By == "" {
		all := Aggregates()
		if q.q.Step > MaxP95Step {
			all = slices.DeleteFunc(all, func(a Aggregate) bool { return a == P95 })
		}
		q.q.Aggregates = randomAggregates(r, all)
	}
	if q.q.Step > 0 && r.IntN(2) == 0 {
		q.askForSums(r)
	}
	return q
}

// askForSums makes a question one that the archive's sums can answer.
func (q *question) askForSums(r *rand.Rand) {
	q.q.Step = []time.Duration{time.Minute, 5 * time.Minute, time.Hour, time.Hour, 2 * time.Hour, 24 * time.Hour}[r.IntN(6)]
	q.q.Aggregates = [][]Aggregate{nil, {Avg, Count}, {Avg}, {Min, Max}, {Avg, Min, Max, Count}}[r.IntN(5)]
	if q.by.By == "" && r.IntN(4) == 0 {
		q.q.Aggregates = []Aggregate{Max, Last}
	}
	whole := events.Timestamp(time.Hour)
	if q.q.HasFrom {
		q.q.From -= q.q.From % whole
	}
	if q.q.HasTo {
		q.q.To += whole - q.q.To%whole - 1
	}
}

// randomQuery returns the filter, range, order and limit of a question.
func (a *asker) randomQuery(r *rand.Rand) (q Query) {
	q.Oldest, q.Limit = r.IntN(2) == 0, 1+r.IntN(120)
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			q.Hosts = append(q.Hosts, worldHost(r.IntN(6)))
		}
	}
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			host, index := r.IntN(5), r.IntN(worldGPUs+2)
			id := events.GPUID(worldGPU(host, index).UUID)
			if index > 0 && index <= worldGPUs && r.IntN(3) == 0 && a.facts.hosts[worldHost(host)] {
				id = events.GPUID(fmt.Sprintf("%s:%d", worldHost(host), index))
			}
			q.GPUs = append(q.GPUs, id)
		}
	}
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(2) {
			q.Metrics = append(q.Metrics, []string{util, power, energy, load, "part_metric", "no_metric"}[r.IntN(6)])
		}
	}
	if q.HasFrom = r.IntN(2) == 0; q.HasFrom {
		q.From = a.randomTime(r)
	}
	if q.HasTo = r.IntN(2) == 0; q.HasTo {
		if q.To = a.randomTime(r); r.IntN(2) == 0 {
			q.To-- // of a whole minute or hour
		}
		if q.HasFrom && q.From > q.To && r.IntN(10) > 0 {
			q.From, q.To = q.To+1, q.From-1
		}
	}
	return q
}

// randomTime returns the time of a record, or one near it.
func (a *asker) randomTime(r *rand.Rand) events.Timestamp {
	at := a.rows[r.IntN(len(a.rows))].at
	whole := func(d time.Duration) events.Timestamp { return at - at%events.Timestamp(d) }
	switch r.IntN(8) {
	case 0:
		return at
	case 1:
		return at + events.Timestamp(r.IntN(3)-1)
	case 2:
		return at + events.Timestamp(r.Int64N(int64(2*time.Hour))) - events.Timestamp(time.Hour)
	case 3, 4:
		return whole(time.Minute) + events.Timestamp(time.Duration(r.IntN(3))*time.Minute)
	case 5:
		return whole(time.Second)
	}
	return whole(time.Hour) + events.Timestamp(time.Duration(r.IntN(3))*time.Hour)
}

func randomStepLength(r *rand.Rand) time.Duration {
	return []time.Duration{
		time.Second, 7 * time.Second, 30 * time.Second, time.Minute, time.Minute, 2 * time.Minute, 5 * time.Minute, 7 * time.Minute, 10*time.Minute + time.Second,
		time.Hour, time.Hour, time.Hour, 90 * time.Minute, 2 * time.Hour, 24 * time.Hour, 25 * time.Hour, 100 * 24 * time.Hour,
	}[r.IntN(17)]
}

// randomAggregates returns none, all, or some of the aggregates; often those that the archive has sums for.
func randomAggregates(r *rand.Rand, all []Aggregate) []Aggregate {
	switch r.IntN(5) {
	case 0:
		return nil
	case 1:
		return all
	case 2:
		return []Aggregate{Avg, Count}
	}
	return slices.DeleteFunc(slices.Clone(all), func(Aggregate) bool { return r.IntN(2) == 0 })
}
