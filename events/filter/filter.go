package filter

import (
	"errors"
	"flag"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// Filter selects records. An empty field matches everything. Patterns are globs ('*', '?').
type Filter struct {
	Hosts   Patterns
	GPUs    Patterns // of UUIDs, of host:index, of host:pci-address, of an index
	Metrics Patterns // of canonical names and of source names; a name without wildcards may be any known name of the metric

	exact bool // patterns are literal names
}

// Exact returns a filter for names from programs: '*' and '?' are literal, a GPU cannot be selected by its index
// alone, and a metric has its canonical name or its source's name.
//
// A GPU's names are the ones that the records of the event give it: a record without a UUID is not found by the UUID that other
// records give its GPU.
func Exact(hosts []events.HostID, gpus []events.GPUID, metrics []string) *Filter {
	return &Filter{Hosts: patternsOf(hosts), GPUs: patternsOf(gpus), Metrics: metrics, exact: true}
}

func patternsOf[S ~string](names []S) Patterns {
	out := make(Patterns, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}

// Flags registers the flags host, gpu and metric.
func (f *Filter) Flags(fs *flag.FlagSet) {
	fs.Var(&f.Hosts, "host", "only these hosts; several between commas, * and ? stand for any text and any letter")
	fs.Var(&f.GPUs, "gpu", "only these GPUs, as UUID, host:index, host:pci-address or index; patterns as in -host")
	fs.Var(&f.Metrics, "metric", "only these metrics, such as DCGM_FI_DEV_GPU_UTIL, gpu_utilization or *POWER*; patterns as in -host")
}

// Host reports whether records of a host can match.
func (f *Filter) Host(id events.HostID) bool { return f.matchesList(f.Hosts, string(id)) }

// Partitions returns the partitions, out of count, that can hold matching records.
func (f *Filter) Partitions(count int) []events.Partition {
	var some []events.Partition
	plain := len(f.Hosts) > 0
	for _, p := range f.Hosts {
		plain = plain && (f.exact || !strings.ContainsAny(p, "*?"))
		some = append(some, events.PartitionOf(events.HostID(p), count))
	}
	if plain {
		slices.Sort(some)
		return slices.Compact(some)
	}
	all := make([]events.Partition, count)
	for i := range all {
		all[i] = events.Partition(i)
	}
	return all
}

// Column reports whether the records of a column match.
func (f *Filter) Column(ev *events.Event, c *events.Column) bool {
	return f.Host(ev.Host) && f.matchesGPU(ev.Host, &ev.Identities[c.Identity]) && f.matchesMetric(c)
}

// CountColumns returns the number of matching columns of an event.
func (f *Filter) CountColumns(ev *events.Event) int {
	n := 0
	for i := range ev.Columns {
		if f.Column(ev, &ev.Columns[i]) {
			n++
		}
	}
	return n
}

// Any reports whether any column of an event matches.
func (f *Filter) Any(ev *events.Event) bool {
	for i := range ev.Columns {
		if f.Column(ev, &ev.Columns[i]) {
			return true
		}
	}
	return false
}

func (f *Filter) matchesGPU(host events.HostID, id *events.Identity) bool {
	if len(f.GPUs) == 0 {
		return true
	}
	if gpu := id.Entity(host).GPU; gpu != "" && f.matchesList(f.GPUs, string(gpu)) {
		return true
	}
	return id.Index != "" && (f.matchesList(f.GPUs, string(host)+":"+id.Index) || !f.exact && f.matchesList(f.GPUs, id.Index)) ||
		id.PCI != "" && f.matchesAddress(events.GPUID(string(host)+":"+id.PCI)) || id.UUID != "" && f.matchesList(f.GPUs, string(host)+":"+id.UUID)
}

// matchesAddress reports whether a name is host:pci-address, in any spelling of the address.
func (f *Filter) matchesAddress(name events.GPUID) bool {
	return f.matchesList(f.GPUs, string(name)) || slices.ContainsFunc(f.GPUs, func(p string) bool { return events.GPUID(p).Canonical() == name })
}

func (f *Filter) matchesMetric(c *events.Column) bool {
	return f.matchesList(f.Metrics, c.Metric) || f.matchesList(f.Metrics, c.Source) || !f.exact && slices.ContainsFunc(f.Metrics, func(name string) bool {
		m, _, known := metric.Lookup(name)
		return known && m.Name == c.Metric
	})
}

// matchesList reports whether a list is empty or matches a name.
func (f *Filter) matchesList(list Patterns, name string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(pattern string) bool {
		return pattern == name || !f.exact && Glob(pattern, name)
	})
}

// Patterns is a list of globs, comma-separated as a flag. An empty list matches everything.
type Patterns []string

// String returns the list in the syntax of Set.
func (p *Patterns) String() string { return strings.Join(*p, ",") }

// Set adds the patterns of a comma-separated list.
func (p *Patterns) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			return errors.New("it holds an empty name; leave the flag out to take everything")
		}
		*p = append(*p, one)
	}
	return nil
}
