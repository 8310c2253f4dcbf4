package filter

import (
	"path"
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "anything", true}, {"a", "a", true}, {"a", "ab", false}, {"ab", "a", false},
		{"a*", "abc", true}, {"*c", "abc", true}, {"*b*", "abc", true}, {"a*c*e", "abcde", true}, {"a*c*e", "abcd", false}, {"?", "a", true},
		{"?", "", false}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"*ab", "aab", true}, {"**", "x", true}, {"a*a", "a", false},
	} {
		if got := Glob(c.pattern, c.name); got != c.want {
			t.Errorf("Glob(%q, %q) = %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

// path.Match is the reference for names without slashes and patterns of '*', '?' and letters.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("**?", "ab")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		ascii := func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '/' })
		}
		if len(pattern) > 12 || len(name) > 20 || strings.ContainsAny(pattern, `[]\`) || !ascii(pattern) || !ascii(name) {
			t.Skip("path.Match means something else by it")
		}
		want, err := path.Match(pattern, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := Glob(pattern, name); got != want {
			t.Errorf("Glob(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

func TestFilterAcceptsAllNames(t *testing.T) {
	ev := events.Event{
		Host:       "node-7",
		Identities: []events.Identity{{UUID: "GPU-abc", Index: "3", PCI: "00000000:1b:00.0"}, {}},
		Columns: []events.Column{
			{Identity: 0, Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "utilization.gpu [%]"},
			{Identity: 0, Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]"},
			{Identity: 1, Metric: "host_load", Source: "load"},
		},
	}
	for text, want := range map[string][]int{
		"":                                    {0, 1, 2},
		"host=node-*":                         {0, 1, 2},
		"host=node-8":                         nil,
		"host=node-8,node-7":                  {0, 1, 2},
		"gpu=GPU-abc":                         {0, 1},
		"gpu=node-7:3":                        {0, 1},
		"gpu=3":                               {0, 1},
		"gpu=4":                               nil,
		"gpu=node-7:00000000:1b:00.0":         {0, 1},
		"gpu=node-7:0000:1B:00.0":             {0, 1},
		"gpu=node-7:*:1b:00.*":                {0, 1},
		"gpu=node-7:0000:1c:00.0":             nil,
		"gpu=node-8:0000:1b:00.0":             nil,
		"gpu=node-7:GPU-abc":                  {0, 1},
		"metric=gpu_utilization":              {0},
		"metric=utilization.gpu*":             {0},
		"metric=*POWER*":                      {1},
		"metric=load":                         {2},
		"metric=load,DCGM_FI_DEV_GPU_UTIL":    {0, 2},
		"metric=gpu_utilization gpu=5":        nil,
		"host=node-7 metric=power_draw gpu=3": {1},
	} {
		var f Filter
		lists := map[string]*Patterns{"host": &f.Hosts, "gpu": &f.GPUs, "metric": &f.Metrics}
		for word := range strings.FieldsSeq(text) {
			name, value, _ := strings.Cut(word, "=")
			if err := lists[name].Set(value); err != nil {
				t.Fatal(err)
			}
		}
		var got []int
		for i := range ev.Columns {
			if f.Column(&ev, &ev.Columns[i]) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) || f.CountColumns(&ev) != len(want) {
			t.Errorf("%q takes columns %v, want %v", text, got, want)
		}
	}
	if err := new(Patterns).Set("a,,b"); err == nil {
		t.Error("an empty name is taken")
	}
}

func TestPlainHostsNameTheirPartitions(t *testing.T) {
	f := Filter{Hosts: Patterns{"a", "b", "a"}}
	want := []events.Partition{events.PartitionOf("a", 64), events.PartitionOf("b", 64)}
	slices.Sort(want)
	if got := f.Partitions(64); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, hosts := range []Patterns{nil, {"a*"}, {"a", "?"}} {
		if got := (&Filter{Hosts: hosts}).Partitions(8); len(got) != 8 {
			t.Errorf("hosts %q are of partitions %v, want all 8", hosts, got)
		}
	}
}

func TestExactNamesAreNoPatterns(t *testing.T) {
	ev := events.Event{
		Host: "node-*", Identities: []events.Identity{{UUID: "GPU-abc", Index: "3", PCI: "00000000:1b:00.0"}},
		Columns: []events.Column{{Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "utilization.gpu [%]"}},
	}
	for _, c := range []struct {
		name  string
		f     *Filter
		takes bool
	}{
		{"everything", Exact(nil, nil, nil), true},
		{"the host", Exact([]events.HostID{"node-1", "node-*"}, nil, nil), true},
		{"a pattern of the host", Exact([]events.HostID{"node-?"}, nil, nil), false},
		{"the UUID", Exact(nil, []events.GPUID{"GPU-abc"}, nil), true},
		{"the slot", Exact(nil, []events.GPUID{"node-*:3"}, nil), true},
		{"the address", Exact(nil, []events.GPUID{"node-*:1B:00.0"}, nil), true},
		{"another address", Exact(nil, []events.GPUID{"node-*:1c:00.0"}, nil), false},
		{"host and UUID", Exact(nil, []events.GPUID{"node-*:GPU-abc"}, nil), true},
		{"the index alone", Exact(nil, []events.GPUID{"3"}, nil), false},
		{"a pattern of the GPU", Exact(nil, []events.GPUID{"*"}, nil), false},
		{"the canonical name", Exact(nil, nil, []string{"DCGM_FI_DEV_GPU_UTIL"}), true},
		{"the source's name", Exact(nil, nil, []string{"utilization.gpu [%]"}), true},
		{"a name of another source", Exact(nil, nil, []string{"gpu_utilization"}), false},
	} {
		if got := c.f.Any(&ev); got != c.takes || c.f.CountColumns(&ev) > 0 != got {
			t.Errorf("%s: got %v, want %v", c.name, got, c.takes)
		}
	}
	hosts := []events.HostID{"node-*"}
	if got, want := Exact(hosts, nil, nil).Partitions(64), []events.Partition{events.PartitionOf(hosts[0], 64)}; !slices.Equal(got, want) {
		t.Errorf("the host is of partitions %v, want %v", got, want)
	}
}
