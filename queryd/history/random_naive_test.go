package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
)

// reading is one reading of a fleet, as it was sent.
type reading struct {
	series
	at     events.Timestamp
	source string
	value  events.Value
	labels [2]string // pod and job
}

// series names the readings of one metric of one entity of a host.
type series struct {
	host      events.HostID
	gpu, part string
	metric    string
}

func compareSeries(a, b series) int {
	return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.gpu, b.gpu), cmp.Compare(a.part, b.part), cmp.Compare(a.metric, b.metric))
}

// facts is the set of all folded readings, which answers queries by reading all of them. It uses nothing of the read path.
type facts struct {
	scope    access.Scope // of the queries
	readings map[reading]bool
	hosts    map[events.HostID]bool
	models   map[series]string // by host and GPU
}

func (f *facts) init() {
	f.scope = access.Everything()
	f.readings, f.hosts, f.models = make(map[reading]bool), make(map[events.HostID]bool), make(map[series]string)
}

func (f *facts) add(all []reading) {
	for _, r := range all {
		f.hosts[r.host] = true
		if model := r.source; r.metric == "" {
			f.models[series{host: r.host, gpu: r.gpu}] = model
			continue
		}
		f.readings[r] = true
	}
}

// readingsOf returns the readings of a row, and one without a metric for the model that it names. A GPU that a row has by index alone is
// the one that had it at that time.
func readingsOf(row reportRow) (all []reading) {
	key := series{host: row.host, gpu: row.id.UUID, part: row.id.Part}
	if key.gpu == "" && row.id.Index != "" {
		key.gpu = gpuAt(row.host, row.id.Index, row.at)
	}
	one := reading{series: key, at: row.at, labels: [2]string{row.id.Pod, ""}}
	if row.id.Model != "" {
		named := reading{series: series{host: row.host, gpu: key.gpu}, source: row.id.Model}
		all = append(all, named)
	}
	for _, l := range row.id.Labels {
		one.labels[1] = l.Value
	}
	for _, rec := range row.records {
		if rec.Value.Absent == events.Implausible {
			continue // is in no answer
		}
		one.metric, one.source, one.value = rec.Metric, rec.Source, rec.Value
		all = append(all, one)
	}
	return all
}

// gpuAt returns the GPU that has an index of a host.
func gpuAt(host events.HostID, index string, at events.Timestamp) string {
	if index == "3" && at >= exchange {
		index = "4" // the other GPU of the slot
	}
	return "GPU-w" + strings.TrimPrefix(string(host), "host-") + "-" + index
}

// sees reports whether the scope of the queries has a reading. By namespace it has readings that name one, also of GPUs
// that are not in the view.
func (f *facts) sees(r *reading) bool {
	return f.scope.HasHost(r.host) && (!f.scope.ByNamespace() || r.labels[0] != "" && f.scope.HasNamespace("ns-"+r.labels[0]))
}

// names reports whether a visible record of a GPU has a time up to at.
func (f *facts) names(gpu string, at events.Timestamp) bool {
	for r := range f.readings {
		if r.gpu == gpu && r.at <= at && f.sees(&r) {
			return true
		}
	}
	return false
}

// selected returns the readings that a query selects.
func (f *facts) selected(q Query) (all []reading) {
	gpus := make(map[string]bool)
	for _, id := range q.GPUs {
		if host, index, named := strings.Cut(string(id), ":"); named {
			if !f.scope.HasHost(events.HostID(host)) {
				continue // an unknown name
			}
			id = events.GPUID(gpuAt(events.HostID(host), index, maxTime)) // the GPU that has the index now
		}
		gpus[string(id)] = true
	}
	for r := range f.readings {
		switch {
		case !f.sees(&r):
		case len(q.Hosts) > 0 && !slices.Contains(q.Hosts, r.host):
		case len(q.GPUs) > 0 && !gpus[r.gpu]:
		case len(q.Metrics) > 0 && !slices.Contains(q.Metrics, r.metric):
		case q.HasFrom && r.at < q.From, q.HasTo && r.at > q.To:
		default:
			all = append(all, r)
		}
	}
	return all
}

// spot is the place of an entry or bucket.
type spot struct {
	At        events.Timestamp
	Host      events.HostID
	GPU, Part string
}

func compareSpots(a, b spot) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Host, b.Host), cmp.Compare(a.GPU, b.GPU), cmp.Compare(a.Part, b.Part))
}

// item is an entry or a bucket in comparable form: a line for each reading, or the numbers of each metric.
type item struct {
	Spot     spot
	Readings []string
	Sums     map[string]sums
}

// sums are the aggregates of a metric; averages are apart, as they are compared within a tolerance.
type sums struct {
	Exact map[Aggregate]string
	Avg   float64
	Sum   float64
}

// entries returns a query's entries, oldest first.
func (f *facts) entries(q Query) (all []item) {
	bySpot := make(map[spot]map[string]bool)
	for _, r := range f.selected(q) {
		at := spot{r.at, r.host, r.gpu, r.part}
		if bySpot[at] == nil {
			bySpot[at] = make(map[string]bool)
		}
		bySpot[at][readingText(r.metric, r.source, r.value)] = true
	}
	for at, lines := range bySpot {
		one := item{Spot: at}
		for line := range lines {
			one.Readings = append(one.Readings, line)
		}
		slices.Sort(one.Readings)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b item) int { return compareSpots(a.Spot, b.Spot) })
	return all
}

func readingText(metric, source string, v events.Value) string {
	if v.Absent != events.Present {
		return fmt.Sprintf("%s by %s: %s %q", metric, source, v.Absent, v.Raw)
	}
	return fmt.Sprintf("%s by %s: %s", metric, source, v.Number)
}

// number is a number at a time.
type number struct {
	at events.Timestamp
	n  events.Number
}

// numberSet is the distinct numbers of a series in a step: several sources and uploads may have the same.
type numberSet map[number]bool

// stepNumbers returns the numbers of a query by series, value of a label (-1: all together) and step.
func (f *facts) stepNumbers(q Query, label int) map[labelledSeries]map[events.Timestamp]numberSet {
	all := make(map[labelledSeries]map[events.Timestamp]numberSet)
	for _, r := range f.selected(q) {
		if r.value.Absent != events.Present {
			continue
		}
		key := labelledSeries{series: r.series}
		if label >= 0 {
			key.label = r.labels[label]
		}
		step := events.Timestamp(q.Step)
		at := r.at - r.at%step // times of tests are after 1970
		if all[key] == nil {
			all[key] = make(map[events.Timestamp]numberSet)
		}
		if all[key][at] == nil {
			all[key][at] = make(numberSet)
		}
		all[key][at][number{r.at, r.value.Number}] = true
	}
	return all
}

type labelledSeries struct {
	series
	label string
}

// buckets returns a query's buckets, oldest first.
func (f *facts) buckets(q Query) (all []item) {
	bySpot := make(map[spot]map[string]sums)
	for key, steps := range f.stepNumbers(q, -1) {
		for at, set := range steps {
			place := spot{at, key.host, key.gpu, key.part}
			if bySpot[place] == nil {
				bySpot[place] = make(map[string]sums)
			}
			bySpot[place][key.metric] = set.sums(q, key.metric)
		}
	}
	for at, sums := range bySpot {
		all = append(all, item{Spot: at, Sums: sums})
	}
	slices.SortFunc(all, func(a, b item) int { return compareSpots(a.Spot, b.Spot) })
	return all
}

// shownOf returns the aggregates of a metric in an answer.
func shownOf(q Query, metric string) []Aggregate {
	switch {
	case len(q.Aggregates) > 0:
		return q.Aggregates
	case metric == energy:
		return []Aggregate{Last}
	}
	return []Aggregate{Avg}
}

func (set numberSet) sums(q Query, metric string) sums {
	out := sums{Exact: make(map[Aggregate]string)}
	sorted := set.sorted()
	for _, a := range shownOf(q, metric) {
		switch a {
		case Avg:
			out.Avg = set.mean()
		case Min:
			out.Exact[a] = sorted[0].n.String()
		case Max:
			out.Exact[a] = sorted[len(sorted)-1].n.String()
		case P95:
			out.Exact[a] = sorted[int(math.Ceil(0.95*float64(len(sorted))))-1].n.String()
		case Count:
			out.Exact[a] = events.Int(int64(len(sorted))).String()
		case Last:
			out.Exact[a] = set.last().String()
		}
	}
	return out
}

// sorted returns the numbers by size.
func (set numberSet) sorted() (all []number) {
	for one := range set {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b number) int { return cmp.Or(cmp.Compare(a.n.Float(), b.n.Float()), cmp.Compare(a.at, b.at)) })
	return all
}

func (set numberSet) mean() float64 {
	sum := 0.0
	for _, one := range set.sorted() {
		sum += one.n.Float()
	}
	return sum / float64(len(set))
}

// last returns the number of the newest time. Of several of one time that is the one with more decimal places, then the greater one
// (decision 0001).
func (set numberSet) last() events.Number {
	var newest []number
	for one := range set {
		if len(newest) > 0 && one.at > newest[0].at {
			newest = nil
		}
		if len(newest) == 0 || one.at == newest[0].at {
			newest = append(newest, one)
		}
	}
	return slices.MaxFunc(newest, func(a, b number) int {
		return cmp.Or(cmp.Compare(max(0, -a.n.Exponent), max(0, -b.n.Exponent)), cmp.Compare(a.n.Float(), b.n.Float()))
	}).n
}

// groupPoint is a point of a group in comparable form.
type groupPoint struct {
	Group, Metric string
	At            events.Timestamp
	Members       int // in the step
	All           int // in the group
	Sums          sums
}

// groups returns the points of groups.
func (f *facts) groups(q Query, by Grouping) (all []groupPoint) {
	label := -1
	if by.By == ByLabel {
		label = slices.Index([]string{"pod", "job"}, by.Label)
		if label < 0 {
			return nil // no reading has it
		}
	}
	type groupName struct{ group, metric string }
	members := make(map[groupName][]map[events.Timestamp]numberSet)
	series := f.stepNumbers(q, label)
	for key, steps := range series {
		whole := key
		whole.part = ""
		if _, has := series[whole]; has && key.part != "" {
			continue // the GPU itself has the metric
		}
		name := groupName{metric: key.metric}
		switch by.By {
		case ByHost:
			name.group = string(key.host)
		case ByModel:
			name.group = f.modelOf(key.host, key.gpu)
		case ByLabel:
			name.group = key.label
		}
		if name.group != "" || by.By == ByCluster {
			members[name] = append(members[name], steps)
		}
	}
	for name, some := range members {
		bySteps := make(map[events.Timestamp][]numberSet)
		for _, one := range some {
			for at, set := range one {
				bySteps[at] = append(bySteps[at], set)
			}
		}
		for at, sets := range bySteps {
			all = append(all, groupPoint{name.group, name.metric, at, len(sets), len(some), groupSums(sets, q.Aggregates)})
		}
	}
	slices.SortFunc(all, func(a, b groupPoint) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.At, b.At))
	})
	return all
}

func (f *facts) modelOf(host events.HostID, gpu string) string {
	return f.models[series{host: host, gpu: gpu}]
}

// groupSums returns the mean of the members' averages, their sum, and the extremes and number of all readings.
func groupSums(sets []numberSet, aggregates []Aggregate) sums {
	out := sums{Exact: make(map[Aggregate]string)}
	total, count := 0.0, 0
	var all []number
	for _, set := range sets {
		total += set.mean()
		count += len(set)
		all = append(all, set.sorted()...)
	}
	slices.SortFunc(all, func(a, b number) int { return cmp.Compare(a.n.Float(), b.n.Float()) })
	for _, a := range aggregates {
		switch a {
		case Avg:
			out.Avg = total / float64(len(sets))
		case Sum:
			out.Sum = total
		case Min:
			out.Exact[a] = all[0].n.String()
		case Max:
			out.Exact[a] = all[len(all)-1].n.String()
		case Count:
			out.Exact[a] = events.Int(int64(count)).String()
		}
	}
	return out
}

// closeFloats compares averages, whose last digits depend on the order of a sum.
func closeFloats(a, b float64) bool {
	return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b))
}

// columns returns a query's series, by host, entity and metric.
func (f *facts) columns(q Query) (all []column) {
	bySeries := make(map[series]*column)
	if q.Step > 0 {
		for key, steps := range f.stepNumbers(q, -1) {
			c := &column{Name: key.series}
			bySeries[key.series] = c
			for _, at := range sortedTimes(steps) {
				c.Points, c.Sums = append(c.Points, at.String()), append(c.Sums, steps[at].sums(q, key.metric))
			}
		}
	} else {
		readings := f.selected(q)
		slices.SortFunc(readings, func(a, b reading) int { return cmp.Or(cmp.Compare(a.at, b.at), a.value.Compare(b.value)) })
		for _, r := range readings {
			c := bySeries[r.series]
			if c == nil {
				c = &column{Name: r.series}
				bySeries[r.series] = c
			}
			c.Points = append(c.Points, pointText(r.at, r.value))
		}
	}
	for _, c := range bySeries {
		c.Points = slices.Compact(c.Points)
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b column) int { return compareSeries(a.Name, b.Name) })
	return all
}

func sortedTimes(steps map[events.Timestamp]numberSet) (all []events.Timestamp) {
	for at := range steps {
		all = append(all, at)
	}
	slices.Sort(all)
	return all
}
