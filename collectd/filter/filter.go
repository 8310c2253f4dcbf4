package filter

import (
	"errors"
	"flag"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// Filter selects records. An empty field takes everything. Patterns are globs ('*', '?'), several between commas.
type Filter struct {
	Hosts   Patterns
	GPUs    Patterns // of UUIDs, of host:index, of an index
	Metrics Patterns // of canonical names, of the names of sources; a plain name may be any that is known for the metric
}

// Flags registers host, gpu and metric.
func (f *Filter) Flags(fs *flag.FlagSet) {
	fs.Var(&f.Hosts, "host", "only these hosts; several between commas, * and ? stand for any text and any letter")
	fs.Var(&f.GPUs, "gpu", "only these GPUs, as UUID, host:index or index; patterns as in -host")
	fs.Var(&f.Metrics, "metric", "only these metrics, such as DCGM_FI_DEV_GPU_UTIL, gpu_utilization or *POWER*; patterns as in -host")
}

// Host tells whether records of a host can match.
func (f *Filter) Host(id events.HostID) bool { return f.Hosts.match(string(id)) }

// Partitions tells which of count partitions can hold matching records.
func (f *Filter) Partitions(count int) []events.Partition {
	var some []events.Partition
	plain := len(f.Hosts) > 0
	for _, p := range f.Hosts {
		plain = plain && !strings.ContainsAny(p, "*?")
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

// Column tells whether the records of a column match.
func (f *Filter) Column(ev *events.Event, c *events.Column) bool {
	return f.Host(ev.Host) && f.gpu(ev.Host, &ev.Identities[c.Identity]) && f.metric(c)
}

// Matches counts the columns of an event that match.
func (f *Filter) Matches(ev *events.Event) int {
	n := 0
	for i := range ev.Columns {
		if f.Column(ev, &ev.Columns[i]) {
			n++
		}
	}
	return n
}

func (f *Filter) gpu(host events.HostID, id *events.Identity) bool {
	if len(f.GPUs) == 0 {
		return true
	}
	if gpu := id.Entity(host).GPU; gpu != "" && f.GPUs.match(string(gpu)) {
		return true
	}
	return id.Index != "" && (f.GPUs.match(string(host)+":"+id.Index) || f.GPUs.match(id.Index))
}

func (f *Filter) metric(c *events.Column) bool {
	return f.Metrics.match(c.Metric) || f.Metrics.match(c.Source) || slices.ContainsFunc(f.Metrics, func(name string) bool {
		m, _, known := metric.Lookup(name)
		return known && m.Name == c.Metric
	})
}

// Patterns is a list of globs, and as a flag several between commas. An empty one takes everything.
type Patterns []string

// String writes the list as Set takes it.
func (p *Patterns) String() string { return strings.Join(*p, ",") }

// Set adds the patterns of a text.
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

func (p Patterns) match(name string) bool {
	return len(p) == 0 || slices.ContainsFunc(p, func(pattern string) bool { return glob(pattern, name) })
}

// glob tells whether a name matches a pattern. What is between two '*' is taken where it fits first, so the time is
// bounded by the product of the lengths.
func glob(pattern, name string) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return len(name) == len(head) && fits(head, name)
	}
	if !fits(head, name) {
		return false
	}
	name = name[len(head):]
	for {
		piece, more, another := strings.Cut(rest, "*")
		if !another { // the last piece has to end the name
			return len(name) >= len(piece) && fits(piece, name[len(name)-len(piece):])
		}
		for !fits(piece, name) {
			if name == "" {
				return false
			}
			name = name[1:]
		}
		name, rest = name[len(piece):], more
	}
}

// fits tells whether a name begins with a piece, in which '?' is any byte.
func fits(piece, name string) bool {
	if len(piece) > len(name) {
		return false
	}
	for i := range len(piece) {
		if piece[i] != '?' && piece[i] != name[i] {
			return false
		}
	}
	return true
}
