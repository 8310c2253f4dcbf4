package history

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

var (
	worlds    = flag.Int("worlds", 0, "how many random worlds are queried; 0: a few")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first world; the next ones follow")
)

// TestRandomQueriesEqualANaiveFold asks random queries, and between and beside them, and between their pages, appends, folds, archives,
// merges, removes and rebuilds. Every answer has to equal what follows from reading all folded records one by one.
func TestRandomQueriesEqualANaiveFold(t *testing.T) {
	number := *worlds
	switch {
	case number == 0 && testing.Short():
		number = 2
	case number == 0:
		number = 6
	}
	began, seen := time.Now(), counts{of: make(map[string]int)}
	t.Run("worlds", func(t *testing.T) {
		for i := range uint64(number) {
			t.Run(fmt.Sprint("seed ", *firstSeed+i), func(t *testing.T) {
				t.Parallel()
				queryWorld(t, *firstSeed+i, &seen)
			})
		}
	})
	t.Logf("%d worlds in %s; %v", number, time.Since(began).Round(time.Millisecond), seen.of)
	if number >= 6 && !t.Failed() {
		for _, what := range []string{"telemetry", "buckets", "columns", "columns by step", "groups by cluster", "groups by host", "groups by model", "groups by label",
			"as of", "in a part of the fleet", "beside a step", "step between pages", "switch", "answers with records", "from sums", "from repeated sums", "from records", "from chunks"} {
			if seen.of[what] == 0 {
				t.Errorf("in %d worlds there was not one of %q: the test has become harmless", number, what)
			}
		}
	}
}

// counts is what happened in all worlds.
type counts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counts) add(more map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, n := range more {
		c.of[what] += n
	}
}

// queryWorld runs steps and queries of one seed.
func queryWorld(t *testing.T, seed uint64, seen *counts) {
	r := rand.New(rand.NewPCG(seed, 31))
	w := newWorld(t, r)
	defer func() {
		w.close()
		seen.add(w.seen)
	}()
	a := &asker{world: w, t: t}
	for range 3 {
		a.must(seed, nil, w.run(step{"append", w.appendRows}, r))
	}
	a.must(seed, nil, w.run(step{"fold", w.foldAll}, r))
	for range 30 {
		a.must(seed, nil, a.look(randomScope(t, r)))
		for range 1 + r.IntN(2) {
			a.must(seed, nil, a.randomStep(r))
		}
		for range 3 {
			q := a.randomQuestion(r)
			a.must(seed, q, a.ask(r, q))
		}
	}
}

// asker asks a world.
type asker struct {
	*world
	t *testing.T
}

// must ends the test after a failure, with what led to it.
func (a *asker) must(seed uint64, q *question, err error) {
	a.t.Helper()
	if err == nil && !a.t.Failed() {
		return
	}
	query := ""
	if q != nil {
		query = q.String()
	}
	a.t.Fatalf("seed %d: %v\nquery: %s\nsteps:\n  %s\nreplay: go test ./queryd/history -run TestRandomQueries -seed %d -worlds 1",
		seed, err, query, strings.Join(a.notes, "\n  "), seed)
}

// randomStep takes a step, after which queries are asked of a view that has all of it, or of an earlier view if the step changed no
// answer.
func (a *asker) randomStep(r *rand.Rand) error {
	n, refresh := r.IntN(20), true
	var steps []step
	switch {
	case n < 9:
		steps = a.dataSteps()
	case n < 18:
		steps, refresh = a.quietSteps(), r.IntN(2) == 0
	default:
		steps = a.aloneSteps()
	}
	if err := a.run(steps[r.IntN(len(steps))], r); err != nil {
		return err
	}
	if !refresh {
		return nil
	}
	return a.refreshView(a.t.Context())
}

// beside runs do while a step that changes no answer is under way, or alone.
func (a *asker) beside(r *rand.Rand, do func() error) error {
	if r.IntN(5) > 0 {
		return do()
	}
	a.seen["beside a step"]++
	steps, other := a.quietSteps(), rand.New(rand.NewPCG(r.Uint64(), 1))
	s, done := steps[r.IntN(len(steps))], make(chan error, 1)
	go func() { done <- a.run(s, other) }()
	err := do()
	return errors.Join(err, <-done)
}

// betweenPages takes a step now and then.
func (a *asker) betweenPages(r *rand.Rand) error {
	if r.IntN(4) > 0 {
		return nil
	}
	switches := a.seen["switch"]
	a.seen["step between pages"]++
	err := a.randomStep(r)
	a.seen["switch between pages"] += a.seen["switch"] - switches
	return err
}

// ask asks a question, and returns how the answer differs from the naive one.
func (a *asker) ask(r *rand.Rand, q *question) error {
	a.seen[q.form]++
	if !q.scope.IsWhole() {
		a.seen["in a part of the fleet"]++
	}
	q.q.Plan = new(Plan)
	defer a.countPlan(q.q.Plan)
	switch q.form {
	case "telemetry":
		return a.walkItems(r, q, a.facts.entries, func(one Query) (all []item, next Cursor, err error) {
			page, err := a.history.Telemetry(a.t.Context(), a.view, one)
			return itemsOfEntries(page.Entries), page.Next, err
		})
	case "buckets":
		return a.walkItems(r, q, a.facts.buckets, func(one Query) (all []item, next Cursor, err error) {
			page, err := a.history.Buckets(a.t.Context(), a.view, one)
			return itemsOfBuckets(page.Buckets, one), page.Next, err
		})
	case "columns", "columns by step":
		return a.walkColumns(r, q)
	case "as of":
		return a.askPast(r, q)
	}
	return a.askGroups(r, q)
}

func (a *asker) countPlan(p *Plan) {
	a.seen["from sums"] += int(p.Rolled.Load())
	a.seen["from repeated sums"] += int(p.Repeated.Load())
	a.seen["from records"] += int(p.Recorded.Load())
	a.seen["from chunks"] += int(p.Chunks.Load())
}

// walkItems compares each page with the items after the page before, of all records that are folded by then.
func (a *asker) walkItems(r *rand.Rand, q *question, naive func(Query) []item, page func(Query) ([]item, Cursor, error)) error {
	one := q.q
	if n := len(naive(one)); n > 20*one.Limit { // a bounded number of pages
		one.Limit = n/20 + 1
	}
	one.Moving = r.IntN(3) == 0
	order := func(x, y spot) int {
		if one.Oldest {
			return compareSpots(x, y)
		}
		return compareSpots(y, x)
	}
	var last *spot
	for {
		want := naive(q.q)
		if !one.Oldest {
			slices.Reverse(want)
		}
		want = slices.DeleteFunc(want, func(i item) bool { return last != nil && order(i.Spot, *last) <= 0 })
		more := len(want) > one.Limit
		if want = want[:min(one.Limit, len(want))]; len(want) > 0 {
			a.seen["answers with records"]++
		}
		var got []item
		var next Cursor
		err := a.beside(r, func() (err error) { got, next, err = page(one); return err })
		if err != nil {
			return err
		}
		if diff := gocmp.Diff(want, got, gocmp.Comparer(closeFloats), cmpopts.EquateEmpty()); diff != "" {
			return fmt.Errorf("page after %v: (-want +got)\n%s", last, diff)
		}
		if (next != "") != more {
			return fmt.Errorf("page after %v has the cursor %q, want one: %v", last, next, more)
		}
		if next == "" {
			return nil
		}
		last, one.Cursor = &got[len(got)-1].Spot, next
		if one.Moving { // the range of the first page counts
			one.From, one.To = one.From+events.Timestamp(time.Minute), one.To+events.Timestamp(time.Minute)
		}
		if err := a.betweenPages(r); err != nil {
			return err
		}
	}
}

func itemsOfEntries(entries []projections.Entry) (all []item) {
	for _, e := range entries {
		one := item{Spot: spot{e.At, e.Host, string(e.Entity.GPU), e.Entity.Part}}
		for _, r := range e.Readings {
			one.Readings = append(one.Readings, readingText(r.Metric(), r.Source(), r.Value()))
		}
		slices.Sort(one.Readings)
		all = append(all, one)
	}
	return all
}

func itemsOfBuckets(buckets []Bucket, q Query) (all []item) {
	for i := range buckets {
		b := &buckets[i]
		one := item{Spot: spot{b.At, b.Host, string(b.Entity.GPU), b.Entity.Part}, Sums: make(map[string]sums)}
		for j := range b.Metrics {
			one.Sums[b.Metrics[j].Metric] = shownSums(shownOf(q, b.Metrics[j].Metric), b.Metrics[j].Number)
		}
		all = append(all, one)
	}
	return all
}

// shownSums returns the aggregates of an answer in comparable form.
func shownSums(shown []Aggregate, numberOf func(Aggregate) (events.Number, bool)) sums {
	out := sums{Exact: make(map[Aggregate]string)}
	for _, a := range shown {
		switch n, ok := numberOf(a); {
		case !ok:
			out.Exact[a] = "none"
		case a == Avg:
			out.Avg = n.Float()
		case a == Sum:
			out.Sum = n.Float()
		default:
			out.Exact[a] = n.String()
		}
	}
	return out
}

// column is a series in comparable form.
type column struct {
	Name   series
	Points []string // readings, or the beginnings of steps
	Sums   []sums
}

// walkColumns compares each page of series with the hosts after the page before.
func (a *asker) walkColumns(r *rand.Rand, q *question) error {
	one := q.q
	one.Limit = []int{1, 50, 400, MaxPoints}[r.IntN(4)]
	last := events.HostID("")
	for {
		want := slices.DeleteFunc(a.facts.columns(q.q), func(c column) bool { return c.Name.host <= last })
		if len(want) > 0 {
			a.seen["answers with records"]++
		}
		var got []column
		var next Cursor
		err := a.beside(r, func() (err error) {
			next, err = a.history.Columns(a.t.Context(), a.view, one, func(some []Series) error {
				got = append(got, columnsOf(some, one)...)
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
		points, before := 0, 0 // of the page, and of its hosts before the last one
		for _, c := range got {
			if c.Name.host != last {
				last, before = c.Name.host, points
			}
			points += len(c.Points)
		}
		if next != "" {
			want = slices.DeleteFunc(want, func(c column) bool { return c.Name.host > last })
		}
		if diff := gocmp.Diff(want, got, gocmp.Comparer(closeFloats), cmpopts.EquateEmpty(), gocmp.AllowUnexported(series{})); diff != "" {
			return fmt.Errorf("page up to %s: (-want +got)\n%s", last, diff)
		}
		if before >= one.Limit || next != "" && points < one.Limit {
			return fmt.Errorf("page up to %s has %d points, %d of them before its last host; cursor %q", last, points, before, next)
		}
		if next == "" {
			return nil
		}
		one.Cursor = next
		if err := a.betweenPages(r); err != nil {
			return err
		}
	}
}

func columnsOf(some []Series, q Query) (all []column) {
	for i := range some {
		s := &some[i]
		c := column{Name: series{s.Host, string(s.Entity.GPU), s.Entity.Part, s.Metric}}
		for at, v := range s.Samples.All() {
			c.Points = append(c.Points, pointText(at, v))
		}
		for j, at := range s.Starts {
			c.Points, c.Sums = append(c.Points, at.String()), append(c.Sums, shownSums(shownOf(q, s.Metric), s.Sums[j].Number))
		}
		all = append(all, c)
	}
	return all
}

func pointText(at events.Timestamp, v events.Value) string {
	return at.String() + " " + readingText("", "", v)
}

// askGroups compares the points of groups.
func (a *asker) askGroups(r *rand.Rand, q *question) error {
	want := a.facts.groups(q.q, q.by)
	one := q.q
	if one.Limit = MaxPoints; r.IntN(8) == 0 {
		one.Limit = max(1, len(want)+r.IntN(3)-1)
	}
	if len(want) > 0 {
		a.seen["answers with records"]++
	}
	return a.beside(r, func() error {
		groups, err := a.history.Groups(a.t.Context(), a.view, one, q.by)
		if len(want) > one.Limit && errors.Is(err, ErrPoints) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%d points, limit %d: %w", len(want), one.Limit, err)
		}
		var got []groupPoint
		for _, g := range groups {
			for i, at := range g.Starts {
				got = append(got, groupPoint{g.Group, g.Metric, at, g.Sums[i].Members, g.Members, shownSums(one.Aggregates, g.Sums[i].Number)})
			}
		}
		if diff := gocmp.Diff(want, got, gocmp.Comparer(closeFloats), cmpopts.EquateEmpty()); diff != "" {
			return fmt.Errorf("groups: (-want +got)\n%s", diff)
		}
		return nil
	})
}

// askPast compares the state at an instant with a fold of the records up to then.
func (a *asker) askPast(r *rand.Rand, q *question) error {
	return a.beside(r, func() error {
		past, err := a.history.AsOf(a.t.Context(), a.view, q.at, nil)
		if err != nil {
			return err
		}
		on := a.view.OnHosts()
		visible := slices.DeleteFunc(slices.Clone(a.folded), func(ev events.Event) bool { return !q.scope.HasHost(ev.Host) })
		sameAsFold(a.t, on, past.OnHosts(), visible, q.at)
		if !q.scope.ByNamespace() {
			return nil
		}
		then := on.WithHosts(foldedModels(on, foldUpTo(visible, q.at)))
		if diff := gocmp.Diff(a.view.SelectPast(then).GPUs(), past.GPUs(), cmpopts.EquateEmpty()); diff != "" {
			return fmt.Errorf("GPUs of the namespaces (-want +got):\n%s", diff)
		}
		for _, g := range past.GPUs() {
			if !a.facts.names(string(g.ID), q.at) {
				return fmt.Errorf("%s is there, and no record by then names a visible namespace", g.ID)
			}
			a.seen["GPU of a namespace in the past"]++
		}
		return nil
	})
}

// foldedModels returns the models of hosts, in their partitions.
func foldedModels(s *live.State, folded map[events.HostID]*projections.Host) (models []projections.Stored) {
	for _, host := range s.Hosts() {
		if h := folded[host.ID]; h != nil {
			models = append(models, projections.Stored{Host: h.ID, Partition: host.Partition, Live: &h.Live, Identity: &h.Identity})
		}
	}
	return models
}
