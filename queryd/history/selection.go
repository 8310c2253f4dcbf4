package history

import (
	"encoding/binary"
	"hash/fnv"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// selection is what of the view a query is about.
type selection struct {
	hosts   []*live.Host
	gpus    []events.GPUID // resolved, sorted, unique; empty: all
	metrics []string       // sorted, unique; empty: all
}

// choose resolves a query's filter in the view. Hosts and GPUs that the view does not know have no history.
func choose(s *live.State, q Query) *selection {
	sel := &selection{metrics: sorted(q.Metrics)}
	var seen map[events.HostID]bool // hosts that a chosen GPU was seen on
	if len(q.GPUs) > 0 {
		seen = make(map[events.HostID]bool)
		for _, id := range q.GPUs {
			if g, ok := s.GPU(id); ok {
				id = g.ID
				for _, host := range g.Hosts {
					seen[host] = true
				}
			}
			sel.gpus = append(sel.gpus, id)
		}
		sel.gpus = sorted(sel.gpus)
	}
	for _, host := range candidates(s, q.Hosts, seen) {
		if len(q.GPUs) == 0 || seen[host.ID] {
			sel.hosts = append(sel.hosts, host)
		}
	}
	return sel
}

// wants tells whether a query is about a metric of an entity.
func (sel *selection) wants(e events.Entity, metric string) bool {
	return (len(sel.gpus) == 0 || among(sel.gpus, e.GPU)) && (len(sel.metrics) == 0 || among(sel.metrics, metric))
}

func among[S ~string](sorted []S, item S) bool {
	_, found := slices.BinarySearch(sorted, item)
	return found
}

// candidates gives the hosts that a filter names, else those that the chosen GPUs were seen on, else all.
func candidates(s *live.State, named []events.HostID, seen map[events.HostID]bool) []*live.Host {
	switch {
	case len(named) > 0:
		named = sorted(named)
	case seen != nil:
		for id := range seen {
			named = append(named, id)
		}
	default:
		return s.Hosts()
	}
	hosts := make([]*live.Host, 0, len(named))
	for _, id := range named {
		if host, ok := s.Host(id); ok {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// digest tells queries apart whose cursors must not be mixed up. Limit and range are no part of it.
func (sel *selection) digest(q Query) uint64 {
	h := fnv.New64a()
	write := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	list(write, sorted(q.Hosts))
	list(write, sel.gpus)
	list(write, sel.metrics)
	if q.Oldest {
		write("oldest")
	}
	if q.Step != 0 {
		write("step")
		write(q.Step.String())
	}
	return h.Sum64()
}

// list writes a list so that it cannot run into the next one.
func list[S ~string](write func(string), items []S) {
	for _, item := range items {
		write("+")
		write(string(item))
	}
	write(".")
}

// sorted gives the distinct items in order, in memory of its own.
func sorted[S ~string](items []S) []S {
	out := slices.Clone(items)
	slices.Sort(out)
	return slices.Compact(out)
}
