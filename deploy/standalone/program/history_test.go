package program

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/collectd/rebuild"
	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events/archive"
)

// seriesName names a metric of a GPU on a host.
type seriesName struct{ Host, GPU, Metric string }

// reading is a reading of a generated fleet. No two of a series have one time and differ.
type reading struct {
	seriesName
	At    int64 // seconds since 1970
	Value int64
	Pod   string
}

// generatedFleet makes files, and remembers what they say.
type generatedFleet struct {
	r     *rand.Rand
	start time.Time
	sent  []reading
}

// nextFile returns a file of new readings of any hour, old ones again, and old ones under another pod.
func (f *generatedFleet) nextFile(rows int) []byte {
	var b bytes.Buffer
	b.WriteString("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n")
	for range rows {
		host, index := f.r.IntN(3), f.r.IntN(2)
		one := reading{
			seriesName: seriesName{fmt.Sprintf("node-%d", host), fmt.Sprintf("GPU-0a1b2c3d-1111-2222-3333-44445555%02d%02d", host, index), []string{"DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP"}[f.r.IntN(2)]},
			At:         f.start.Unix() + f.r.Int64N(6*3600), Pod: fmt.Sprintf("job-%d", f.r.IntN(3)),
		}
		one.Value = (one.At*7 + int64(index)) % 97
		if len(f.sent) > 0 && f.r.IntN(4) == 0 {
			pod := one.Pod
			one = f.sent[f.r.IntN(len(f.sent))]
			if f.r.IntN(2) == 0 {
				one.Pod = pod
			}
		}
		f.sent = append(f.sent, one)
		fmt.Fprintf(&b, "%s,%s,%s,,%s,NVIDIA H100,%s,,%s,ml,%d,\n", time.Unix(one.At, 0).UTC().Format(time.RFC3339), one.Metric, one.GPU[len(one.GPU)-1:], one.GPU, one.Host, one.Pod, one.Value)
	}
	return b.Bytes()
}

// question selects readings.
type question struct {
	host, gpu, metric string
	from, to          int64 // both included
	step              int64
	aggregate         string // of steps
	group             string // of groups of steps
	groupAggregate    string
}

func (f *generatedFleet) nextQuestion() question {
	q := question{from: f.start.Unix(), to: f.start.Unix() + 6*3600 - 1, step: []int64{0, 60, 900, 3600, 5400}[f.r.IntN(5)]}
	q.aggregate = []string{"avg", "min", "max", "last", "p95", "count"}[f.r.IntN(6)]
	q.group, q.groupAggregate = []string{"cluster", "host", "model"}[f.r.IntN(3)], []string{"avg", "sum", "min", "max", "count"}[f.r.IntN(5)]
	if f.r.IntN(2) == 0 {
		q.from += f.r.Int64N(3 * 3600)
		q.to -= f.r.Int64N(3 * 3600)
	}
	some := f.sent[f.r.IntN(len(f.sent))]
	if f.r.IntN(3) == 0 {
		q.host = some.Host
	}
	if f.r.IntN(3) == 0 {
		q.gpu = some.GPU
	}
	if f.r.IntN(2) == 0 {
		q.metric = some.Metric
	}
	return q
}

func (q *question) parameters() url.Values {
	v := url.Values{"start_time": {strconv.FormatInt(q.from, 10)}, "end_time": {strconv.FormatInt(q.to, 10)}, "order": {"asc"}}
	for name, value := range map[string]string{"host_id": q.host, "gpu_id": q.gpu, "metric": q.metric} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.step > 0 {
		v.Set("step", fmt.Sprintf("%ds", q.step))
		v.Set("agg", q.aggregate)
	}
	return v
}

// answer returns the distinct values of each series by time, from all readings that were sent.
func (f *generatedFleet) answer(q question) map[seriesName]map[int64]int64 {
	all := make(map[seriesName]map[int64]int64)
	for _, one := range f.sent {
		if one.At < q.from || one.At > q.to || q.host != "" && one.Host != q.host || q.gpu != "" && one.GPU != q.gpu || q.metric != "" && one.Metric != q.metric {
			continue
		}
		if all[one.seriesName] == nil {
			all[one.seriesName] = make(map[int64]int64)
		}
		all[one.seriesName][one.At] = one.Value
	}
	return all
}

// point is a point of an answer in comparable form.
type point struct {
	Series seriesName
	At     int64
	Value  string
}

func sortPoints(all []point) []point {
	slices.SortFunc(all, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.Series.Host, b.Series.Host), cmp.Compare(a.Series.GPU, b.Series.GPU), cmp.Compare(a.Series.Metric, b.Series.Metric), cmp.Compare(a.At, b.At), cmp.Compare(a.Value, b.Value))
	})
	return all
}

// readings returns what an answer without a step must have.
func (f *generatedFleet) readings(q question) (all []point) {
	for name, values := range f.answer(q) {
		for at, value := range values {
			all = append(all, point{name, at, strconv.FormatInt(value, 10)})
		}
	}
	return sortPoints(all)
}

// steps returns what an answer with a step must have.
func (f *generatedFleet) steps(q question) (all []point) {
	for name, values := range f.answer(q) {
		for start, inStep := range valuesBySteps(values, q.step) {
			all = append(all, point{name, start, averageText(aggregateOf(inStep, q.aggregate))})
		}
	}
	return sortPoints(all)
}

// valuesBySteps returns the values of each step that has readings, by time.
func valuesBySteps(values map[int64]int64, step int64) map[int64][]float64 {
	steps := make(map[int64][]float64)
	for _, at := range slices.Sorted(maps.Keys(values)) {
		steps[at-at%step] = append(steps[at-at%step], float64(values[at]))
	}
	return steps
}

// aggregateOf returns an aggregate of values by time, of which there is one at least.
func aggregateOf(values []float64, aggregate string) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	switch aggregate {
	case "min":
		return slices.Min(values)
	case "max":
		return slices.Max(values)
	case "last":
		return values[len(values)-1]
	case "p95":
		return slices.Sorted(slices.Values(values))[(len(values)*95+99)/100-1]
	case "count":
		return float64(len(values))
	case "sum":
		return sum
	}
	return sum / float64(len(values))
}

// averageText returns a number with as many digits as sums in any order agree in.
func averageText(v float64) string { return strconv.FormatFloat(v, 'g', 9, 64) }

// askColumns returns the points of an answer by series, over all its pages.
func (s *stack) askColumns(q question, limit int) (all []point) {
	v := q.parameters()
	v.Set("form", "columns")
	v.Set("limit", strconv.Itoa(limit))
	for {
		var series []struct {
			HostID, ID, Metric string
			Times              []int64
			Values             []float64
		}
		next := s.get("/api/v1/telemetry?"+v.Encode(), &lowerKeys{&series})
		for _, one := range series {
			for i, at := range one.Times {
				all = append(all, point{seriesName{one.HostID, one.ID, one.Metric}, at, averageText(one.Values[i])})
			}
		}
		if next == "" {
			return sortPoints(all)
		}
		v.Set("cursor", next)
	}
}

// askEntries returns the points of an answer by entries, over all its pages.
func (s *stack) askEntries(q question, limit int) (all []point) {
	v := q.parameters()
	v.Set("limit", strconv.Itoa(limit))
	for {
		var entries []struct {
			Timestamp  time.Time
			HostID, ID string
			Metrics    map[string]float64
		}
		next := s.get("/api/v1/telemetry?"+v.Encode(), &lowerKeys{&entries})
		for _, e := range entries {
			for metric, value := range e.Metrics {
				all = append(all, point{seriesName{e.HostID, e.ID, metric}, e.Timestamp.Unix(), averageText(value)})
			}
		}
		if next == "" {
			return sortPoints(all)
		}
		v.Set("cursor", next)
	}
}

// lowerKeys decodes objects whose keys have underscores into fields that have none.
type lowerKeys struct{ into any }

// UnmarshalJSON decodes text with host_id as hostid.
func (l *lowerKeys) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(bytes.ReplaceAll(text, []byte(`"host_id":`), []byte(`"hostid":`)), l.into)
}

// askGroups returns the points of a question's groups.
func (s *stack) askGroups(q question) (all []point) {
	v := q.parameters()
	for name, value := range map[string]string{"form": "columns", "group": q.group, "agg": q.groupAggregate} {
		v.Set(name, value)
	}
	var groups []struct {
		Group, Metric string
		Times         []int64
		Values        []float64
	}
	s.get("/api/v1/telemetry?"+v.Encode(), &groups)
	for _, g := range groups {
		for i, at := range g.Times {
			all = append(all, point{seriesName{Host: g.Group, Metric: g.Metric}, at, averageText(g.Values[i])})
		}
	}
	return sortPoints(all)
}

// groups returns what askGroups must return: the average and the sum are of the members' averages.
func (f *generatedFleet) groups(q question) (all []point) {
	type key struct {
		group, metric string
		start         int64
	}
	averages, values := make(map[key][]float64), make(map[key][]float64)
	for name, readings := range f.answer(q) {
		group := map[string]string{"host": name.Host, "model": "NVIDIA H100"}[q.group]
		for start, inStep := range valuesBySteps(readings, q.step) {
			k := key{group, name.Metric, start}
			averages[k] = append(averages[k], aggregateOf(inStep, "avg"))
			values[k] = append(values[k], inStep...)
		}
	}
	of := averages
	if q.groupAggregate != "avg" && q.groupAggregate != "sum" {
		of = values
	}
	for k, members := range of {
		all = append(all, point{seriesName{Host: k.group, Metric: k.metric}, k.start, averageText(aggregateOf(members, q.groupAggregate))})
	}
	return sortPoints(all)
}

// askLatest returns the newest readings of a metric as they were at a time.
func (s *stack) askLatest(metric string, at int64) (all []point) {
	var entries []struct {
		HostID, ID string
		Metrics    map[string]float64
	}
	s.get(fmt.Sprintf("/api/v1/telemetry/latest?metric=%s&as_of=%d", metric, at), &lowerKeys{&entries})
	for _, e := range entries {
		for metric, value := range e.Metrics {
			all = append(all, point{seriesName{e.HostID, e.ID, metric}, 0, averageText(value)})
		}
	}
	return sortPoints(all)
}

// latest returns what askLatest must return.
func (f *generatedFleet) latest(metric string, at int64) (all []point) {
	for name, values := range f.answer(question{metric: metric, from: math.MinInt64, to: at}) {
		newest := slices.Max(slices.Collect(maps.Keys(values)))
		all = append(all, point{name, 0, averageText(float64(values[newest]))})
	}
	return sortPoints(all)
}

// readingsText changes values to the form of averageText.
func readingsText(all []point) []point {
	for i := range all {
		v, err := strconv.ParseFloat(all[i].Value, 64)
		if err != nil {
			v = math.NaN()
		}
		all[i].Value = averageText(v)
	}
	return all
}

// TestHistoryIsTheSameWhereverItIs asks random questions while readings move from etcd to the archive, are merged there and are folded
// again by a rebuild, and compares the answers with what follows from all files that were sent.
func TestHistoryIsTheSameWhereverItIs(t *testing.T) {
	t.Parallel()
	seeds, questions := uint64(2), 8
	if testing.Short() {
		seeds, questions = 1, 4
	}
	for seed := range seeds {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			f := &generatedFleet{r: rand.New(rand.NewPCG(seed, 14)), start: time.Now().Add(-80 * time.Hour).Truncate(time.Hour)}
			dir := t.TempDir()
			s := startStack(t, dir, func(s *settings) {
				s.folding.Retain = retain.Config{
					ArchiveInterval: 50 * time.Millisecond, HotWindow: time.Millisecond, Grace: 300 * time.Millisecond, KeepReplaced: time.Second,
					Look: 20 * time.Millisecond, MergeEntries: 2,
				}
			})
			for round := range 6 {
				s.mustUpload("readings.csv", f.nextFile(120))
				if round == 4 {
					cold := archive.Config{URL: (&url.URL{Scheme: "file", Path: filepath.Join(dir, "archive")}).String()}
					if err := rebuild.Run(t.Context(), rebuild.Config{Activate: true}, s.settings.store, cold, io.Discard, nil); err != nil {
						t.Fatalf("rebuilding: %v", err)
					}
				}
				for range questions {
					s.checkQuestion(f, f.nextQuestion())
				}
			}
		})
	}
}

// checkQuestion asks a question in each form.
func (s *stack) checkQuestion(f *generatedFleet, q question) {
	s.t.Helper()
	check := func(form string, want, got []point) {
		s.t.Helper()
		if diff := gocmp.Diff(want, got); diff != "" {
			s.t.Errorf("%s of %s (-want +got):\n%s", form, strings.ReplaceAll(q.parameters().Encode(), "%", "%%"), diff)
		}
	}
	metric := cmp.Or(q.metric, f.sent[0].Metric)
	check("the latest of "+metric+" as of the end", f.latest(metric, q.to), s.askLatest(metric, q.to))
	limit := 1 + f.r.IntN(400)
	if q.step == 0 {
		want := readingsText(f.readings(q))
		check("columns", want, s.askColumns(q, limit))
		check("entries", want, s.askEntries(q, limit))
		return
	}
	want := f.steps(q)
	check("columns", want, s.askColumns(q, limit))
	check("entries", want, s.askEntries(q, limit))
	check("groups by "+q.group+", "+q.groupAggregate, f.groups(q), s.askGroups(q))
}
