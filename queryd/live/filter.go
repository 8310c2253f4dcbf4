package live

import (
	"cmp"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
	filters "telemetry-pipeline/events/filter"
	"telemetry-pipeline/projections"
)

// Filter selects the readings of a subscription. An empty field selects everything. Hosts are globs ('*', '?'). GPUs
// are ids or other names (State.NamedGPUs): a name selects the GPU that has it at the time.
type Filter struct {
	Hosts   []string
	GPUs    []events.GPUID
	Metrics []string
}

// filter is a Filter in canonical form: sorted, without repeats.
type filter struct {
	hosts   []string
	gpus    []events.GPUID
	metrics []string
	globs   bool // some of hosts are patterns
	aliases bool // some of gpus may be names that another GPU can get
}

// compile validates a Filter and returns its canonical form.
func (f Filter) compile() (*filter, error) {
	if slices.Contains(f.Hosts, "") || slices.Contains(f.GPUs, "") || slices.Contains(f.Metrics, "") {
		return nil, errors.New("subscribing: filter holds an empty name; leave the field out to take everything")
	}
	out := &filter{hosts: sortedSet(f.Hosts), metrics: sortedSet(f.Metrics)}
	for _, id := range f.GPUs {
		out.gpus = append(out.gpus, id.Canonical())
	}
	out.gpus = sortedSet(out.gpus)
	out.aliases = slices.ContainsFunc(out.gpus, isAlias)
	out.globs = slices.ContainsFunc(out.hosts, func(h string) bool { return strings.ContainsAny(h, "*?") })
	if slices.Contains(out.hosts, "*") {
		out.hosts, out.globs = nil, false
	}
	return out, nil
}

func sortedSet[T cmp.Ordered](in []T) []T {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

// filterKey returns a string that is the same for equal filters only.
func (f *filter) filterKey() string {
	var b strings.Builder
	for _, names := range [][]string{f.hosts, f.metrics} {
		writeNames(&b, names)
	}
	writeNames(&b, f.gpus)
	return b.String()
}

func writeNames[T ~string](b *strings.Builder, names []T) {
	b.WriteString(strconv.Itoa(len(names)))
	for _, n := range names {
		b.WriteString(strconv.Quote(string(n)))
	}
}

// matchesHost reports whether the filter's hosts include a host.
func (f *filter) matchesHost(h events.HostID) bool {
	return len(f.hosts) == 0 || slices.ContainsFunc(f.hosts, func(pattern string) bool { return filters.Glob(pattern, string(h)) })
}

// isAlias reports whether a name is of a host and what it calls a GPU.
func isAlias(id events.GPUID) bool { return strings.Contains(string(id), ":") }

// matchesGPU reports whether the filter's GPUs include a GPU, under any of its names.
func (f *filter) matchesGPU(n namedGPU) bool {
	if len(f.gpus) == 0 || f.hasName(n.gpu.ID) {
		return true
	}
	return (f.aliases || len(n.gpu.Conflict) > 0) && slices.ContainsFunc(n.names(), f.hasName)
}

func (f *filter) hasName(id events.GPUID) bool {
	_, ok := slices.BinarySearch(f.gpus, id)
	return ok
}

func (f *filter) matchesMetric(name string) bool {
	if len(f.metrics) == 0 {
		return true
	}
	_, ok := slices.BinarySearch(f.metrics, name)
	return ok
}

// selectReadings returns the selected readings that changed after a position; positions holds the position of each
// reading. If all are selected it returns readings itself.
func (f *filter) selectReadings(readings []projections.Latest, positions []int64, after int64) []projections.Latest {
	n := 0
	for i := range readings {
		if positions[i] > after && f.matchesMetric(readings[i].Metric) {
			n++
		}
	}
	if n == len(readings) || n == 0 {
		return readings[:n:n]
	}
	out := make([]projections.Latest, 0, n)
	for i := range readings {
		if positions[i] > after && f.matchesMetric(readings[i].Metric) {
			out = append(out, readings[i])
		}
	}
	return out
}

// selectEntries returns the selected GPUs of a State by (host, id), at least those with readings that changed after a position.
// It looks named GPUs and hosts up, and walks the hosts of the view only for patterns.
func (f *filter) selectEntries(s *State, after int64) iter.Seq[*trackedGPU] {
	switch {
	case len(f.gpus) > 0:
		return f.namedGPUs(s)
	case len(f.hosts) > 0 && !f.globs:
		return f.namedHosts(s)
	}
	return func(yield func(*trackedGPU) bool) {
		for h := range s.hosts.all() {
			if h.lastChanged > after && f.matchesHost(h.ID) && !yieldAll(h.entries, yield) {
				return
			}
		}
	}
}

func (f *filter) namedGPUs(s *State) iter.Seq[*trackedGPU] {
	var found []*trackedGPU
	for _, id := range f.gpus {
		for _, e := range s.findAllNamed(id) {
			if f.matchesHost(e.gpu.Host) {
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found, func(a, b *trackedGPU) int { return cmp.Or(cmp.Compare(a.gpu.Host, b.gpu.Host), orderTracked(a, b)) })
	return slices.Values(slices.Compact(found)) // two names may be of one GPU
}

func (f *filter) namedHosts(s *State) iter.Seq[*trackedGPU] {
	return func(yield func(*trackedGPU) bool) {
		for _, name := range f.hosts {
			if h, ok := s.Host(events.HostID(name)); ok && !yieldAll(h.entries, yield) {
				return
			}
		}
	}
}

func yieldAll(entries []*trackedGPU, yield func(*trackedGPU) bool) bool {
	for _, e := range entries {
		if !yield(e) {
			return false
		}
	}
	return true
}
