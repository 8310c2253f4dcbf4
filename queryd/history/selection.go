package history

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// selection is the part of the view that a query selects. Its hosts are hosts of the view, so no query reads records of a host
// outside of the view's scope. In a view by namespace they are all hosts of the scope, used now or not: which
// records are visible is up to the records (scan.visibleRecords).
type selection struct {
	scope   access.Scope // of the view
	hosts   []*live.Host
	named   []events.GPUID // as the query names them, sorted, unique
	gpus    []events.GPUID // resolved, sorted, unique; empty: all
	metrics []string       // sorted, unique; empty: all
}

// newSelection resolves a query's filter in the view, or by namespace in all on the scope's hosts. Hosts and GPUs that are not known
// there have no history.
func newSelection(s *live.State, q Query) *selection {
	sel := selectIn(s.OnHosts(), q)
	sel.scope = s.Scope()
	return sel
}

func selectIn(s *live.State, q Query) *selection {
	sel := &selection{scope: s.Scope(), named: sortedSet(q.GPUs), metrics: sortedSet(q.Metrics)}
	var seen map[events.HostID]bool // hosts on which a chosen GPU was seen
	if len(q.GPUs) > 0 {
		seen = make(map[events.HostID]bool)
		var known []events.GPUID
		for _, id := range q.GPUs {
			known = append(known, sel.addGPU(s, id, seen)...)
		}
		for _, host := range s.KnownOn(known...) {
			seen[host] = true
		}
		sel.gpus = sortedSet(sel.gpus)
	}
	for _, host := range candidateHosts(s, q.Hosts, seen) {
		if len(q.GPUs) == 0 || seen[host.ID] {
			sel.hosts = append(sel.hosts, host)
		}
	}
	return sel
}

// Knows reports whether a name is of a GPU that has records, also of one that has left the view. By namespace it has to be in the view.
func Knows(s *live.State, id events.GPUID) bool {
	return len(selectIn(s, Query{GPUs: []events.GPUID{id}}).hosts) > 0
}

// addGPU adds the GPUs of a name, and adds the hosts that they were seen on to seen. It returns the names in records by which
// further hosts may have them: also a GPU that has left the view is found by the name that its records have.
func (sel *selection) addGPU(s *live.State, id events.GPUID, seen map[events.HostID]bool) (known []events.GPUID) {
	found := s.NamedGPUs(id)
	known = append(known, id.Canonical())
	for _, g := range found {
		name := nameInRecords(g)
		sel.gpus = append(sel.gpus, name)
		for _, host := range g.Hosts {
			seen[host] = true
		}
		if len(g.Conflict) == 0 || id == name { // not the GPU of one of several hosts
			known = append(known, name)
		}
	}
	if len(found) == 0 {
		sel.gpus = append(sel.gpus, known[0])
		for host, rest := range s.HostsInName(known[0]) {
			if name, had := pastName(host, rest); had {
				sel.gpus = append(sel.gpus, name)
				known = append(known, name)
				seen[host.ID] = true
			}
		}
	}
	return known
}

// pastName returns the id of the GPU that had an index, PCI address or UUID last on a host.
func pastName(host *live.Host, text string) (events.GPUID, bool) {
	if address, ok := events.CanonicalPCI(text); ok {
		text = address
	}
	name, had := host.Identity.FindPast(text)
	if !had {
		return "", false
	}
	return host.Names.Resolve(name, maxTime), true
}

// coversMetric reports whether a query selects a metric.
func (sel *selection) coversMetric(metric string) bool {
	return len(sel.metrics) == 0 || containsSorted(sel.metrics, metric)
}

// coversReading reports whether a query selects a metric of an entity.
func (sel *selection) coversReading(e events.Entity, metric string) bool {
	return (len(sel.gpus) == 0 || containsSorted(sel.gpus, e.GPU)) && sel.coversMetric(metric)
}

// namesOn returns the names under which a host's records may have the selected GPUs, sorted; none where all are selected.
func (sel *selection) namesOn(host *live.Host) []events.GPUID {
	if host.Names == nil || len(sel.gpus) == 0 {
		return sel.gpus
	}
	var names []events.GPUID
	for _, id := range sel.gpus {
		names = append(names, host.Names.MayBe(id, &host.Identity)...)
	}
	return sortedSet(names)
}

func containsSorted[S ~string](sorted []S, item S) bool {
	_, found := slices.BinarySearch(sorted, item)
	return found
}

// nameInRecords returns the name that records have for a GPU. Of a GPU that two hosts have at once, one has another id.
func nameInRecords(g *projections.GPU) events.GPUID {
	if uuid := g.Identity.UUID; len(g.Conflict) > 0 && g.ID == projections.ConflictID(g.Host, events.GPUID(uuid)) {
		return events.GPUID(uuid)
	}
	return g.ID
}

// candidateHosts returns the hosts named by a filter, otherwise the hosts on which the chosen GPUs were seen,
// otherwise all; sorted, as cursors and answers are.
func candidateHosts(s *live.State, named []events.HostID, seen map[events.HostID]bool) []*live.Host {
	switch {
	case len(named) > 0:
		named = sortedSet(named)
	case seen != nil:
		named = slices.Sorted(maps.Keys(seen))
	default:
		return s.AllHosts()
	}
	hosts := make([]*live.Host, 0, len(named))
	for _, id := range named {
		if host, ok := s.AnyHost(id); ok {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// filterDigest returns a hash that differs between queries which cannot share cursors. It ignores the limit and the
// range.
func (sel *selection) filterDigest(q Query) uint64 {
	h := fnv.New64a()
	write := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	writeList(write, sortedSet(q.Hosts))
	if sel.scope.ByNamespace() {
		writeList(write, sel.named) // which GPUs have the names may be hidden
	} else {
		writeList(write, sel.gpus)
	}
	writeList(write, sel.metrics)
	if !sel.scope.IsWhole() { // pages are of one fleet
		write("scope")
		write(sel.scope.String())
	}
	if q.Oldest {
		write("oldest")
	}
	if q.columns {
		write("columns")
	}
	if q.Step != 0 {
		write("step")
		write(q.Step.String())
	}
	return h.Sum64()
}

// writeList writes a list with a terminator, so that adjacent lists cannot be confused.
func writeList[S ~string](write func(string), items []S) {
	for _, item := range items {
		write("+")
		write(string(item))
	}
	write(".")
}

// sortedSet returns the distinct items in order, in a new slice.
func sortedSet[S ~string](items []S) []S {
	out := slices.Clone(items)
	slices.Sort(out)
	return slices.Compact(out)
}
