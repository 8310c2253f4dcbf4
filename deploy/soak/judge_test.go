package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// run returns samples of a process that is flat but for the memory.
func run(n int, resident func(i int) int64) (all []vitals) {
	for i := range n {
		all = append(all, vitals{
			at: time.Unix(int64(i), 0), resident: resident(i), liveHeap: 100 << 20, goroutines: 500 + float64(i%7), files: 40,
			etcdFile: 200 << 20, etcdInUse: int64(100+30*(i%20)/20) << 20, lag: 0.1,
		})
	}
	return all
}

func TestGrowthInTheSecondHalfIsFound(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, c := range map[string]struct {
		resident func(i int) int64
		flat     bool
	}{
		"flat":                    {func(int) int64 { return 1000 * mib }, true},
		"a leak":                  {func(i int) int64 { return int64(500+2*i) * mib }, false},
		"grows at first":          {func(i int) int64 { return int64(500+2*min(i, 100)) * mib }, true},
		"a little":                {func(i int) int64 { return int64(1000*mib + i*mib/2) }, true},
		"a sawtooth":              {func(i int) int64 { return int64(1000+20*(i%20)) * mib }, true},
		"shrinks":                 {func(i int) int64 { return int64(2000-2*i) * mib }, true},
		"a leak beneath outliers": {func(i int) int64 { return int64(500+2*i-400*(i%10/9)) * mib }, false},
	} {
		verdicts, err := judgeAll(run(400, c.resident))
		if err != nil {
			t.Fatal(err)
		}
		if got := allFlat(verdicts); got != c.flat {
			t.Errorf("%s: flat is %t, want %t:\n%s", name, got, c.flat, writeVerdicts(verdicts))
		}
	}
	if _, err := judgeAll(run(10, func(int) int64 { return mib })); err == nil {
		t.Error("ten samples were judged")
	}
}

func TestEveryQuantityCanFail(t *testing.T) {
	t.Parallel()
	names := map[string]func(v *vitals, i int){
		"live heap": func(v *vitals, i int) { v.liveHeap += float64(i) * (1 << 20) / 4 }, "goroutines": func(v *vitals, i int) { v.goroutines += float64(i) },
		"open files": func(v *vitals, i int) { v.files += i }, "etcd in use": func(v *vitals, i int) { v.etcdInUse += int64(i) << 20 },
		"etcd's file": func(v *vitals, i int) { v.etcdFile += int64(i) << 20 }, "lag": func(v *vitals, i int) { v.lag += float64(i) },
		"resident memory": func(v *vitals, i int) { v.resident += int64(i) << 21 },
	}
	for _, q := range quantities() {
		all := run(400, func(int) int64 { return 300 << 20 })
		for i := range all {
			names[q.name](&all[i], i)
		}
		verdicts, err := judgeAll(all)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(verdicts, func(v verdict) bool { return v.name == q.name })
		if verdicts[i].flat || !strings.Contains(writeVerdicts(verdicts), "**grows**") {
			t.Errorf("%s grows and counts as flat", q.name)
		}
	}
}

// The allowances find what CI's three minutes are for: eight kilobytes that are kept of each of 50 uploads a second, or
// 25 outside the heap, and a goroutine of one in a hundred.
func TestASmallLeakIsFoundInThreeMinutes(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, leak := range map[string]func(v *vitals, i int){
		"live heap":       func(v *vitals, i int) { v.liveHeap = 60*mib + float64(i)*50*8000 },
		"resident memory": func(v *vitals, i int) { v.resident = 250*mib + int64(i)*50*25_000 },
		"goroutines":      func(v *vitals, i int) { v.goroutines = 1750 + float64(i)/2 },
		"open files":      func(v *vitals, i int) { v.files = 400 + i/5 },
	} {
		all := run(180, func(int) int64 { return 250 * mib })
		for i := range all {
			leak(&all[i], i)
		}
		verdicts, err := judgeAll(all)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verdicts {
			if v.flat == (v.name == name) {
				t.Errorf("a leak of %s: %s is judged flat %t", name, v.name, v.flat)
			}
		}
	}
}

func TestMetricsAreRead(t *testing.T) {
	t.Parallel()
	page := "# TYPE go_goroutines gauge\ngo_goroutines_total 3\ngo_goroutines 12\n"
	if got, err := readMetric(page, "go_goroutines"); got != 12 || err != nil {
		t.Errorf("got %g, %v; want 12", got, err)
	}
	if _, err := readMetric(page, "go_threads"); err == nil {
		t.Error("a metric that is not there was read")
	}
}

func TestTheLiveHeapIsHalfOfTheNextGoalByDefault(t *testing.T) {
	t.Parallel()
	page := "go_gc_gogc_percent 100\ngo_memstats_next_gc_bytes 2e+08\n"
	if got, err := readLiveHeap(page); got != 1e8 || err != nil {
		t.Errorf("got %g, %v; want 1e8", got, err)
	}
}

func TestSamplesAreWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "samples.csv")
	if err := writeSamples(path, run(3, func(int) int64 { return 1 << 20 })); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines != 4 || !strings.HasPrefix(string(text), "time,resident memory MiB,") {
		t.Errorf("the samples are\n%s", text)
	}
}
