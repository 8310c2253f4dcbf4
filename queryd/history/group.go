package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// Grouping is by what Groups joins series. The zero Grouping joins none.
type Grouping struct {
	By    string // one of the constants below
	Label string // for ByLabel: the name of the label; pod, namespace and container are the fields of these names
}

// The groupings.
const (
	ByCluster = "cluster" // one group of all
	ByHost    = "host"
	ByModel   = "model" // of the GPU as it is known now
	ByLabel   = "label" // of each reading; readings without it are in no group
)

// GroupingSyntax describes the values of a group parameter, for error texts.
const GroupingSyntax = "cluster, host, model, or label: and the name of a label such as label:job or label:pod"

// ParseGrouping parses a grouping.
func ParseGrouping(text string) (Grouping, error) {
	name, label, labelled := strings.Cut(text, ":")
	switch {
	case labelled && name == ByLabel && label != "":
		return Grouping{By: ByLabel, Label: label}, nil
	case !labelled && slices.Contains([]string{ByCluster, ByHost, ByModel}, name):
		return Grouping{By: name}, nil
	}
	return Grouping{}, fmt.Errorf("%q is none of %s", text, GroupingSyntax)
}

// ErrGroupAggregate refuses an aggregate that groups do not have.
var ErrGroupAggregate = errors.New("with group the aggregates are avg, sum, min, max and count")

// CheckGroup returns an error unless groups have the aggregates.
func CheckGroup(aggregates []Aggregate) error {
	for _, a := range aggregates {
		if !slices.Contains([]Aggregate{Avg, Sum, Min, Max, Count}, a) {
			return ErrGroupAggregate
		}
	}
	return nil
}

// GroupSeries is the sums of one metric of one group by steps, ascending in time.
type GroupSeries struct {
	Group   string // a host, model or value of the label; "" for the cluster
	Metric  string
	Members int // series that are in the group
	Starts  []events.Timestamp
	Sums    []GroupSum
}

// GroupSum is the members of a group in one step.
type GroupSum struct {
	Members  int     // that have readings
	Averages float64 // sum of the members' averages, without rest
	rest     float64 // of Averages, which has lost it to rounding
	Count    int64   // of readings
	Min, Max events.Number
}

// Number returns the value of an aggregate; ok is false when it has no finite value. Sum is the sum of the members' averages, and
// Avg is their mean, so that each member counts alike.
func (s *GroupSum) Number(a Aggregate) (n events.Number, ok bool) {
	switch a {
	case Min:
		return s.Min, true
	case Max:
		return s.Max, true
	case Count:
		return events.Int(s.Count), true
	case Sum:
		return averageOf(s.Averages+s.rest, 1)
	default:
		return averageOf(s.Averages+s.rest, int64(s.Members))
	}
}

// addMember adds the readings of a member.
func (s *GroupSum) addMember(m *Summary) {
	if s.Members == 0 {
		s.Min, s.Max = m.Min, m.Max
	}
	s.Members++
	s.Count += m.Count
	s.addAverage(m.Sum / float64(m.Count))
	if m.Min.Compare(s.Min) < 0 {
		s.Min = m.Min
	}
	if m.Max.Compare(s.Max) > 0 {
		s.Max = m.Max
	}
}

// addAverage adds an average by Neumaier's summation, which keeps what a sum of numbers of different size loses.
func (s *GroupSum) addAverage(v float64) {
	sum := s.Averages + v
	if math.Abs(s.Averages) >= math.Abs(v) {
		s.rest += s.Averages - sum + v
	} else {
		s.rest += v - sum + s.Averages
	}
	s.Averages = sum
}

// Groups answers a query with a step by groups of series, sorted by group and metric. A part of a GPU is a member where the GPU itself
// has no readings of the metric. q.Limit bounds the points of the answer, and there are no pages: more are refused with ErrPoints,
// mostly before everything is read, and so is one host with more than MaxPoints sums of its series.
func (h *History) Groups(ctx context.Context, s *live.State, q Query, by Grouping) ([]GroupSeries, error) {
	if err := CheckGroup(q.Aggregates); err != nil {
		return nil, err
	}
	q.Aggregates = []Aggregate{Avg, Min, Max, Count} // of each member
	if err := checkStep(q); err != nil {
		return nil, err
	}
	sel := newSelection(s, q)
	g := grouper{by: by, most: q.Limit, found: make(map[groupKey]*group)}
	scan := h.newScan(s, sel, q.Plan)
	scan.label = by.Label
	for hosts, together := sel.hosts, columnHosts; len(hosts) > 0; {
		some := hosts[:min(together, len(hosts))]
		added, err := g.addHosts(ctx, scan, some, q)
		switch {
		case err == nil:
			hosts = hosts[len(some):]
		case errors.Is(err, errGroups) || !errors.Is(err, ErrPoints) || len(some) == 1:
			return nil, err
		default: // the hosts that were read together have too many
			hosts, together = hosts[added:], max(len(some)/4, 1)
		}
	}
	return g.sortedSeries(q.Step), nil
}

// errGroups is the ErrPoints of groups that have more points than the limit, however few hosts are read together.
var errGroups = fmt.Errorf("all groups: %w", ErrPoints)

// grouper joins series.
type grouper struct {
	by     Grouping
	most   int // points
	points int
	found  map[groupKey]*group
}

type groupKey struct{ group, metric string }

// group is the sums of one group, by slot.
type group struct {
	members int
	sums    map[int64]*GroupSum
}

// addHosts adds the series of some hosts, one host after the other in their order, as sums of fractions depend on it. Each is added
// as soon as those before it are, and its own sums are dropped then. After an error, added is the number of hosts that were added.
func (g *grouper) addHosts(ctx context.Context, scan scan, hosts []*live.Host, q Query) (added int, err error) {
	var mu sync.Mutex // for added, waiting and g
	waiting := make(map[*live.Host]*bucketSums, len(hosts))
	total := pointCount{most: scan.mostPoints}
	countHost := func(host *live.Host) *hostPoints { return &hostPoints{total: &total, check: g.checkSeries(host)} }
	err = scan.sumHosts(ctx, hosts, queryRange(q), q, countHost, func(host *live.Host, sums *bucketSums) error {
		mu.Lock()
		defer mu.Unlock()
		for waiting[host] = sums; added < len(hosts) && waiting[hosts[added]] != nil; added++ {
			next := hosts[added]
			if err := g.addHost(next, waiting[next]); err != nil {
				return err
			}
			waiting[next].points.reset()
			delete(waiting, next)
		}
		return nil
	})
	return added, err
}

// checkSeries returns a check of a host's series, for hostPoints, that refuses a host whose longest series have too many points for
// all groups: the longest series of each metric has all its points in one group.
func (g *grouper) checkSeries(host *live.Host) func(seriesKey, int) error {
	longest, sum := make(map[string]int), 0
	return func(key seriesKey, points int) error {
		grown := points - longest[key.metric]
		if grown <= 0 || key.entity.Part != "" { // a part may be in no group
			return nil
		}
		if _, is := g.groupOf(host, key); !is {
			return nil
		}
		longest[key.metric] = points
		if sum += grown; sum > g.most {
			return errGroups
		}
		return nil
	}
}

// addHost adds the series of a host, until there are too many points.
func (g *grouper) addHost(host *live.Host, sums *bucketSums) error {
	whole := make(map[seriesKey]bool) // GPUs and hosts that have readings of a metric themselves
	for key := range sums.series {
		if key.entity.Part == "" {
			whole[key] = true
		}
	}
	for _, key := range sums.sortedKeys() {
		parent := key
		if parent.entity.Part = ""; key.entity.Part != "" && whole[parent] {
			continue
		}
		name, is := g.groupOf(host, key)
		series := sums.series[key]
		if !is || len(series.slots) == 0 {
			continue
		}
		one := g.found[groupKey{name, key.metric}]
		if one == nil {
			one = &group{sums: make(map[int64]*GroupSum)}
			g.found[groupKey{name, key.metric}] = one
		}
		one.members++
		for i, slot := range series.slots {
			if one.sums[slot] == nil {
				if g.points++; g.points > g.most {
					return errGroups
				}
				one.sums[slot] = new(GroupSum)
			}
			one.sums[slot].addMember(&series.sums[i])
		}
	}
	return nil
}

// groupOf returns the group of a series, and whether it is in one.
func (g *grouper) groupOf(host *live.Host, key seriesKey) (name string, is bool) {
	switch g.by.By {
	case ByHost:
		return string(host.ID), true
	case ByModel:
		model := stableIdentity(&host.Host, key.entity).Model
		return model, model != ""
	case ByLabel:
		return key.label, key.label != ""
	}
	return "", true
}

// sortedSeries returns the groups.
func (g *grouper) sortedSeries(step time.Duration) []GroupSeries {
	all := make([]GroupSeries, 0, len(g.found))
	for key, one := range g.found {
		s := GroupSeries{Group: key.group, Metric: key.metric, Members: one.members}
		slots := make([]int64, 0, len(one.sums))
		for slot := range one.sums {
			slots = append(slots, slot)
		}
		slices.Sort(slots)
		for _, slot := range slots {
			s.Starts, s.Sums = append(s.Starts, slotStart(slot, step)), append(s.Sums, *one.sums[slot])
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b GroupSeries) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Metric, b.Metric))
	})
	return all
}

// labelOf returns the value of a label of an identity, "" without one.
func labelOf(id *events.Identity, name string) string {
	switch name {
	case "pod":
		return id.Pod
	case "namespace":
		return id.Namespace
	case "container":
		return id.Container
	}
	for _, l := range id.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}
