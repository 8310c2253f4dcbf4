package bounds

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// reading returns a record of a GPU.
func reading(gpu int, metric string) *events.Record {
	return &events.Record{Identity: &events.Identity{Index: fmt.Sprint(gpu)}, Metric: metric, Source: metric, At: 1}
}

// countAdmitted returns how many of a host's GPUs a file admits.
func countAdmitted(f *File, host events.HostID, from, to int) int {
	n := 0
	for gpu := from; gpu < to; gpu++ {
		if f.Admit(context.Background(), host, reading(gpu, "m")) == (Refusal{}) {
			n++
		}
	}
	return n
}

// Files in flight count for one another, and one that fails leaves what another one brought as well.
func TestFilesInFlight(t *testing.T) {
	l := NewLedger(Config{GPUs: 4}, nil)
	a, b := l.Begin(""), l.Begin("")
	if n := countAdmitted(a, "n1", 0, 3); n != 3 {
		t.Fatalf("the first file: got %d GPUs, want 3", n)
	}
	if n := countAdmitted(b, "n1", 2, 9); n != 2 {
		t.Fatalf("the second file: got %d GPUs, want the shared one and one more", n)
	}
	a.Close(false)
	b.Close(true)
	c := l.Begin("")
	if n := countAdmitted(c, "n1", 10, 20); n != 2 {
		t.Errorf("after the first file failed: got %d more GPUs, want 2", n)
	}
	c.Close(false)
	if n := countAdmitted(l.Begin(""), "n1", 2, 4); n != 2 {
		t.Errorf("got %d of the second file's GPUs, want 2", n)
	}
	if n := countAdmitted(l.Begin(""), "n1", 0, 2); n != 2 {
		t.Errorf("got %d of the failed file's GPUs, want 2", n)
	}
}

// The memory is bounded: the hosts that were not sent for longest are forgotten, and no record is refused for it.
func TestOldestHostsAreForgotten(t *testing.T) {
	l := NewLedger(Config{GPUs: 4}, nil)
	l.most = 120 // four hosts with 4 GPUs of one index, and a metric each
	for host := range 1000 {
		f := l.Begin("")
		name := events.HostID(fmt.Sprintf("n%d", host))
		if n := countAdmitted(f, name, 0, 9); n != 4 {
			t.Fatalf("host %d: got %d GPUs, want 4", host, n)
		}
		f.Close(host%2 == 0)
		if l.held > l.most || l.recent.Len() != len(l.byHost) {
			t.Fatalf("host %d: %d names of %d and %d hosts are remembered, want at most %d", host, l.held, l.recent.Len(), len(l.byHost), l.most)
		}
	}
	held := 0
	for e := l.recent.Front(); e != nil; e = e.Next() {
		held += e.Value.(*hostMembers).size()
	}
	if held != l.held {
		t.Errorf("%d names are counted, and there are %d", l.held, held)
	}
	if n := countAdmitted(l.Begin(""), "n998", 10, 14); n != 0 {
		t.Errorf("a host of late: got %d more GPUs, want none", n)
	}
	if n := countAdmitted(l.Begin(""), "n0", 10, 14); n != 4 {
		t.Errorf("a forgotten host: got %d GPUs, want 4", n)
	}
}

// A file with more hosts and metrics than its cache holds is checked like others.
func TestCacheOfAFileIsBounded(t *testing.T) {
	l := NewLedger(Config{GPUs: 2, HostMetrics: 2}, nil)
	f := l.Begin("")
	for round := range 2 {
		for host := range 50_000 {
			name := events.HostID(fmt.Sprintf("n%d", host))
			if r := f.Admit(context.Background(), name, reading(0, fmt.Sprintf("m%d", host%40_000))); r != (Refusal{}) {
				t.Fatalf("round %d, host %d: got %v", round, host, r)
			}
			if f.cached > mostCached+1000 {
				t.Fatalf("the cache holds %d", f.cached)
			}
		}
	}
	f.Close(true)
	if n := len(l.metrics.members); n != 40_000 {
		t.Errorf("got %d metrics, want 40000", n)
	}
	if n := len(l.hosts.members); n != 50_000 {
		t.Errorf("got %d hosts, want 50000", n)
	}
}

// Names that were not sent for a month make room.
func TestNamesOfLongAgoMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(Config{Hosts: 2}, nil)
		admits := func(host events.HostID) bool {
			f := l.Begin("")
			defer f.Close(true)
			return countAdmitted(f, host, 0, 1) == 1
		}
		if !admits("n1") || !admits("n2") || admits("n3") {
			t.Fatal("got no two hosts of three")
		}
		time.Sleep(20 * 24 * time.Hour)
		if !admits("n2") || admits("n3") {
			t.Fatal("a host had to make room that was sent 20 days ago")
		}
		time.Sleep(20 * 24 * time.Hour)
		if !admits("n3") || !admits("n2") || admits("n1") {
			t.Error("the host that was sent 40 days ago did not make room for another")
		}
	})
}

// Files that are checked side by side never count more than the bound together.
func TestFilesSideBySide(t *testing.T) {
	l := NewLedger(Config{GPUs: 1000, Hosts: 3}, nil)
	admitted := make([]int, 8)
	var files sync.WaitGroup
	for i := range admitted {
		files.Go(func() {
			f := l.Begin("")
			for host := range 4 {
				admitted[i] += countAdmitted(f, events.HostID(fmt.Sprintf("n%d", host)), i*400, (i+1)*400)
			}
			f.Close(true)
		})
	}
	files.Wait()
	sum := 0
	for _, n := range admitted {
		sum += n
	}
	if sum != 3*1000 {
		t.Errorf("got %d GPUs of all hosts, want 3000", sum)
	}
}

// Parts count in the minutes between their first record and their last, in any order of the records.
func TestPartsWithinAMinute(t *testing.T) {
	at := func(minute int) events.Timestamp { return events.Timestamp(minute) * events.Timestamp(time.Minute) }
	part := func(pid int, minute int) *events.Record {
		return &events.Record{Identity: &events.Identity{Index: "0", Part: fmt.Sprintf("pid:%d", pid)}, Metric: "m", At: at(minute)}
	}
	forward := func(pid int) []*events.Record { return []*events.Record{part(pid, pid), part(pid, pid+1)} }
	for name, test := range map[string]struct {
		pids []int
		span func(pid int) []*events.Record
		want int
	}{
		"processes that follow one another": {pids: []int{0, 2, 4, 6, 8, 10, 12}, span: forward, want: 14},
		"the newest first":                  {pids: []int{12, 10, 8, 6, 4, 2, 0}, span: forward, want: 14},
		"processes side by side": {pids: []int{0, 1, 2, 3}, want: 4, span: func(pid int) []*events.Record {
			return []*events.Record{part(pid, 0), part(pid, 9)}
		}},
	} {
		f := NewLedger(Config{Parts: 2}, nil).Begin("")
		got := 0
		for _, pid := range test.pids {
			for _, r := range test.span(pid) {
				if f.Admit(context.Background(), "n1", r) == (Refusal{}) {
					got++
				}
			}
		}
		if got != test.want {
			t.Errorf("%s: got %d records, want %d", name, got, test.want)
		}
	}
}

// A part that was forgotten counts again when it returns.
func TestPartsThatReturn(t *testing.T) {
	f := NewLedger(Config{Parts: 1}, nil).Begin("")
	ids := []*events.Identity{{Index: "0", Part: "pid:0"}, {Index: "0", Part: "pid:1"}}
	got := ""
	for _, step := range []struct{ part, minute int }{{0, 0}, {1, 5}, {0, 5}, {0, 9}, {1, 9}, {1, 20}} {
		r := &events.Record{Identity: ids[step.part], Metric: "m", At: events.Timestamp(step.minute) * events.Timestamp(time.Minute)}
		if f.Admit(context.Background(), "n1", r) == (Refusal{}) {
			got += "+"
		} else {
			got += "-"
		}
	}
	if got != "++-+-+" {
		t.Errorf("got %s, want ++-+-+", got)
	}
}

// storedHost returns the same models for every host, and counts how often they are read.
type storedHost struct {
	models projections.Host
	reads  int
}

func (s *storedHost) ReadHost(context.Context, events.HostID) projections.Host {
	s.reads++
	return s.models
}

// An ordinary host is never read. One that brings many names is, now and then, and then everything stored counts: GPUs, values of
// their fields, parts besides processes, metrics.
func TestStoredNamesCount(t *testing.T) {
	stored := &storedHost{models: projections.Host{
		Identity: projections.Identity{GPUs: []projections.KnownGPU{
			{Name: "n1:0", Runs: []projections.Run{{Field: projections.FieldIndex, Value: "0"}, {Field: projections.FieldDriver, Value: "550"}}},
			{Name: "n1:1"},
		}},
		Live: projections.Live{Entities: []projections.LiveEntity{
			{Entity: events.Entity{GPU: "n1:0", Part: "nvlink:1"}, Latest: []projections.Latest{{Metric: "m1"}}},
			{Entity: events.Entity{GPU: "n1:0", Part: "pid:7"}, Latest: []projections.Latest{{Metric: "m2"}}},
		}},
	}}
	l := NewLedger(Config{GPUs: 2, Values: 2, Parts: 1, HostMetrics: mostUnread + 1}, stored)
	for range 3 {
		f := l.Begin("")
		for i := range mostUnread - 3 {
			if r := f.Admit(t.Context(), "n1", reading(0, fmt.Sprint("other", i))); r != (Refusal{}) {
				t.Fatal(r)
			}
		}
		f.Close(true)
	}
	if stored.reads != 0 {
		t.Fatalf("an ordinary host was read %d times", stored.reads)
	}
	full := l.Begin("")
	for _, c := range []struct {
		r    events.Record
		want string
	}{
		{events.Record{Identity: &events.Identity{Index: "0"}, Metric: "m0"}, ""}, // the last name before the models are read
		{events.Record{Identity: &events.Identity{Index: "0"}, Metric: "m1"}, ""},
		{events.Record{Identity: &events.Identity{Index: "1"}, Metric: "m2"}, ""},
		{events.Record{Identity: &events.Identity{Index: "0", Driver: "550"}, Metric: "m1"}, ""},
		{events.Record{Identity: &events.Identity{Index: "0", Part: "nvlink:1"}, Metric: "m1"}, ""},
		{events.Record{Identity: &events.Identity{Index: "0", Part: "pid:8"}, Metric: "m1"}, ""},
		{events.Record{Identity: &events.Identity{Index: "2"}, Metric: "m1"}, "too_many_gpus"},
		{events.Record{Identity: &events.Identity{Index: "0", Driver: "570"}, Metric: "m1"}, "too_many_values"},
		{events.Record{Identity: &events.Identity{Index: "0", Part: "nvlink:2"}, Metric: "m1"}, "too_many_parts"},
		{events.Record{Identity: &events.Identity{Index: "0"}, Metric: "m3"}, ""},
		{events.Record{Identity: &events.Identity{Index: "0"}, Metric: "m4"}, "too_many_metrics"},
	} {
		got, _, _ := strings.Cut(full.Admit(t.Context(), "n1", &c.r).Reason, ":")
		if got != c.want {
			t.Errorf("%+v, metric %s: got %q, want %q", *c.r.Identity, c.r.Metric, got, c.want)
		}
	}
	if stored.reads != 1 {
		t.Errorf("the host was read %d times, want once", stored.reads)
	}
}

func TestFlagsAreChecked(t *testing.T) {
	if err := (Config{}).WithDefaults().CheckFlags(); err != nil {
		t.Error(err)
	}
	fold := projections.Bounds{}.WithDefaults()
	for _, c := range []struct {
		config Config
		want   string // "": no error
	}{
		{Config{Labels: -1}, "ingest.max-labels is -1"},
		{Config{GPUs: fold.GPUs}, ""},
		{Config{GPUs: fold.GPUs + 1}, "ingest.max-gpus is 20481; it must be at most 20480"},
	} {
		if err := c.config.CheckFlags(); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.config, err, c.want)
		}
	}
}
