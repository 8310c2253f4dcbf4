package history

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// AsOf returns the view that follows from the records of s with a time up to at: the latest readings at that time, of
// the hosts and GPUs seen by then. With only, the answer is complete for these hosts and their GPUs, and may lack
// others. By namespace it has the GPUs that visible workloads used at that time.
//
// Entities that were last seen by then need no reading. For the others the windows are read backwards from at until
// every metric is found; a metric that a GPU did not have yet is searched through its host's whole history. Besides
// the answer, memory holds a bounded number of host windows.
func (h *History) AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error) {
	if on := s.OnHosts(); on != s {
		then, err := h.AsOf(ctx, on, at, only)
		if err != nil {
			return nil, err
		}
		return s.SelectPast(then), nil
	}
	key := moment{at: at, scope: s.Scope().String(), position: s.At(), generation: s.Generation(), only: fmt.Sprint(sortedSet(only))}
	if past, ok := h.moments.findState(key); ok {
		return past, nil
	}
	if err := h.moments.acquireSlot(ctx); err != nil {
		return nil, fmt.Errorf("the state at %s: %w", at, err)
	}
	defer h.moments.releaseSlot()
	if past, ok := h.moments.findState(key); ok {
		return past, nil
	}
	hosts := s.AllHosts()
	if len(only) > 0 {
		hosts = withSharedGPUs(s, only)
	}
	past, err := h.rewindHosts(ctx, s, hosts, at)
	if err != nil {
		return nil, fmt.Errorf("the state at %s: %w", at, err)
	}
	h.moments.storeState(key, past)
	return past, nil
}

// withSharedGPUs returns the hosts in only and the hosts that share a GPU with them, because the host of a GPU can be
// determined only from all of them.
func withSharedGPUs(s *live.State, only []events.HostID) []*live.Host {
	wanted := make(map[events.HostID]bool, len(only))
	for _, id := range only {
		wanted[id] = true
	}
	for _, g := range s.GPUs() {
		if len(g.Hosts)+len(g.Conflict) > 1 && slices.ContainsFunc(only, func(id events.HostID) bool { return slices.Contains(g.Hosts, id) || slices.Contains(g.Conflict, id) }) {
			for _, id := range slices.Concat(g.Hosts, g.Conflict) {
				wanted[id] = true
			}
		}
	}
	for _, id := range only {
		if host, ok := s.AnyHost(id); ok && len(host.Names.Away()) > 0 {
			for _, other := range s.KnownOn(slices.Collect(maps.Keys(host.Names.Away()))...) {
				wanted[other] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(s.AllHosts()), func(host *live.Host) bool { return !wanted[host.ID] })
}

// maxRewindHosts bounds how many hosts are read backwards together.
const maxRewindHosts = 16

// rewindHosts returns the state of hosts at an instant. It reads a few hosts of one partition at a time.
func (h *History) rewindHosts(ctx context.Context, s *live.State, hosts []*live.Host, at events.Timestamp) (*live.State, error) {
	models := make([]projections.Stored, 0, len(hosts))
	var pending []*pastHost
	for _, host := range hosts {
		switch {
		case host.FirstSeen > at, host.Identity.Joined.Node != "" && len(host.Identity.GPUs) == 0: // its records are its node's
		case host.LastSeen <= at && len(host.Live.Entities) > 0:
			models = append(models, projections.Stored{Host: host.ID, Partition: host.Partition, Live: &host.Live, Identity: &host.Identity})
		default:
			if p := newPastHost(host, at); p.isComplete() {
				models = append(models, p.storedModels())
			} else {
				pending = append(pending, p)
			}
		}
	}
	slices.SortStableFunc(pending, func(a, b *pastHost) int { return cmp.Compare(a.host.Partition, b.host.Partition) })
	for some := range slices.Chunk(pending, maxRewindHosts) {
		r := rewindScan{scan: h.newScan(s, &selection{}, nil), at: at, pending: some}
		if err := r.readBackwards(ctx); err != nil {
			return nil, err
		}
		for _, p := range some {
			models = append(models, p.storedModels())
		}
	}
	return s.WithHosts(models), nil
}

// rewindScan reads the windows of a few hosts backwards.
type rewindScan struct {
	scan
	at      events.Timestamp
	pending []*pastHost // hosts with a missing reading
}

// readBackwards reads windows backwards, each time about twice as many as before, until every needed reading is
// found.
func (r *rewindScan) readBackwards(ctx context.Context) error {
	var group []projections.Window
	size := 1
	for w := range windowsIn(r.pendingHosts(), timeRange{from: math.MinInt64, to: r.at}, false) {
		if group = append(group, w); len(group) < size {
			continue
		}
		if err := r.readGroup(ctx, group); err != nil {
			return err
		}
		if len(r.pending) == 0 {
			return nil
		}
		group = group[:0]
		size = min(2*size, max(maxPairs/len(r.pending), 1))
	}
	return r.readGroup(ctx, group)
}

func (r *rewindScan) pendingHosts() []*live.Host {
	hosts := make([]*live.Host, len(r.pending))
	for i, p := range r.pending {
		hosts[i] = p.host
	}
	return hosts
}

// readGroup reads windows, and removes the hosts that are complete from pending.
func (r *rewindScan) readGroup(ctx context.Context, group []projections.Window) error {
	if len(group) == 0 {
		return nil
	}
	slices.Sort(group)
	r.sel.metrics = r.neededMetrics()
	parts, err := r.loadWindows(ctx, r.pendingHosts(), group)
	if err != nil {
		return err
	}
	byHost := make(map[events.HostID]*pastHost, len(r.pending))
	for _, p := range r.pending {
		byHost[p.host.ID] = p
	}
	for _, part := range parts {
		sets := part.storedSets()
		for i := range sets { // newest windows first
			byHost[part.host.ID].foldNewest(&sets[len(sets)-1-i])
		}
		byHost[part.host.ID].noteRead(part.windows[0])
	}
	r.pending = slices.DeleteFunc(slices.Clone(r.pending), (*pastHost).isComplete)
	return context.Cause(ctx)
}

// neededMetrics returns the needed metrics. It returns none, which selects all, while the newest record of any entity
// the newest list of processes or a workload is not found, because those records may have any metric.
func (r *rewindScan) neededMetrics() []string {
	var names []string
	for _, p := range r.pending {
		if len(p.unseen)+len(p.silent) > 0 || p.lists {
			return nil
		}
		for n := range p.need {
			names = append(names, n.metric)
		}
	}
	return sortedSet(names)
}

// pastHost is a host's state at an instant while it is collected. Its entities have the names that records give them.
type pastHost struct {
	host   *live.Host
	at     events.Timestamp
	whole  []projections.LiveEntity               // last seen by then: unchanged since
	kept   map[events.Entity][]projections.Latest // of the others: readings that were the latest then and still are
	need   map[needed]bool                        // not found yet
	unseen map[events.Entity]bool                 // entities without any reading found yet
	silent map[events.Entity]bool                 // entities whose newest workload is not found yet
	lists  bool                                   // the newest list of processes by then is not found yet
	then   projections.Host                       // the readings found
}

// needed identifies a metric of an entity.
type needed struct {
	entity events.Entity
	metric string
}

// newPastHost returns the part of a host's past state that is known without reading.
func newPastHost(host *live.Host, at events.Timestamp) *pastHost {
	p := &pastHost{
		host: host, at: at, then: projections.Host{ID: host.ID},
		kept: make(map[events.Entity][]projections.Latest), need: make(map[needed]bool),
		unseen: make(map[events.Entity]bool), silent: make(map[events.Entity]bool),
	}
	there := host.Identity.EntitiesBy(at)
	newestList, listed := host.Live.NewestList()
	p.lists = (!listed || newestList > at) && host.Identity.ListedBy(at)
	for i := range host.Live.Entities {
		e := &host.Live.Entities[i]
		switch process := e.IsProcess(); {
		case process && newestList > at || !process && !there[e.Entity]:
		case e.SeenAt <= at:
			p.whole = append(p.whole, *e)
		default:
			p.addNeeded(e)
		}
		delete(there, e.Entity)
	}
	for gone := range there { // from the live model
		if host.Identity.SeenWithin(gone.GPU, at, projections.GoneAfter) {
			p.unseen[gone] = true
		}
	}
	for e := range p.unseen {
		if host.Identity.StatedBy(e.GPU, at) {
			p.silent[e] = true
		}
	}
	return p
}

// isComplete reports whether nothing is left to find.
func (p *pastHost) isComplete() bool { return len(p.need)+len(p.unseen)+len(p.silent) == 0 && !p.lists }

// noteRead notes that every window from w to the instant was read. Lists and workloads before w may still be found.
func (p *pastHost) noteRead(w projections.Window) {
	p.lists = p.lists && p.host.Identity.ListedBy(w.Start()-1)
	for e := range p.silent {
		if !p.host.Identity.StatedBy(e.GPU, w.Start()-1) {
			delete(p.silent, e)
		}
	}
}

// addNeeded adds the readings to find for an entity that was also seen later.
func (p *pastHost) addNeeded(e *projections.LiveEntity) {
	p.unseen[e.Entity] = true
	for _, l := range e.Latest {
		if l.At <= p.at {
			p.kept[e.Entity] = append(p.kept[e.Entity], l)
		} else {
			p.need[needed{e.Entity, l.Metric}] = true
		}
	}
}

// foldNewest folds the newest reading of each column up to the instant.
func (p *pastHost) foldNewest(s *projections.HostWindow) {
	ev := events.Event{Host: p.host.ID, Columns: make([]events.Column, 0, len(s.Columns))}
	entities := make([]events.Entity, 0, len(s.Identities)) // of the event's identities
	index := make(map[events.IdentityID]int, len(s.Identities))
	for i := range s.Columns {
		c := &s.Columns[i]
		n, _ := slices.BinarySearch(c.Times, p.at+1)
		if p.at == maxTime {
			n = len(c.Times)
		}
		identity := s.Find(c.Identity)
		if n == 0 || identity == nil || !p.wants(c, identity) {
			continue
		}
		at, ok := index[c.Identity]
		if !ok {
			at = len(ev.Identities)
			index[c.Identity] = at
			ev.Identities, entities = append(ev.Identities, *identity), append(entities, c.Entity)
		}
		ev.Columns = append(ev.Columns, events.Column{Identity: at, Metric: c.Metric, Source: c.Source, Samples: c.Slice(n-1, n)})
	}
	p.then.Apply(&ev)
	for i := range ev.Columns {
		c := &ev.Columns[i]
		entity := entities[c.Identity]
		delete(p.need, needed{entity, c.Metric})
		delete(p.unseen, entity)
		if projections.NamesWorkload(&ev.Identities[c.Identity]) {
			delete(p.silent, entity)
		}
		if projections.IsProcess(entity.Part) {
			p.lists = false
		}
	}
}

// wants reports whether a column's newest reading belongs to the past state.
func (p *pastHost) wants(c *projections.Column, id *events.Identity) bool {
	if projections.IsProcess(c.Entity.Part) {
		return p.lists
	}
	return p.need[needed{c.Entity, c.Metric}] || p.unseen[c.Entity] || p.silent[c.Entity] && projections.NamesWorkload(id)
}

// storedModels returns the host's models at the instant. It is called once: it takes the kept readings.
func (p *pastHost) storedModels() projections.Stored {
	now := projections.Live{Entities: make([]projections.LiveEntity, 0, len(p.whole)+len(p.then.Live.Entities)+len(p.kept))}
	now.Entities = append(append(now.Entities, p.whole...), p.then.Live.Entities...)
	for i := range now.Entities[len(p.whole):] {
		e := &now.Entities[len(p.whole)+i]
		if kept := p.kept[e.Entity]; len(kept) > 0 {
			e.Latest = withKept(e.Latest, kept)
			delete(p.kept, e.Entity)
		}
	}
	for entity, kept := range p.kept {
		now.Entities = append(now.Entities, p.entityWithoutHistory(entity, kept))
	}
	slices.SortFunc(now.Entities, func(a, b projections.LiveEntity) int { return a.Entity.Compare(b.Entity) })
	return projections.Stored{Host: p.host.ID, Partition: p.host.Partition, Live: &now, Identity: p.identityAt(&now)}
}

// withKept returns the kept readings of an entity, with the found ones of the other metrics. A reading found beside a workload may be
// older than the kept one of its metric.
func withKept(found, kept []projections.Latest) []projections.Latest {
	all := slices.Clone(kept)
	for _, l := range found {
		if _, there := projections.Find(kept, l.Metric); !there {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b projections.Latest) int { return cmp.Compare(a.Metric, b.Metric) })
	return all
}

// entityWithoutHistory returns an entity whose history is no longer kept: it has the readings that are still its latest.
func (p *pastHost) entityWithoutHistory(entity events.Entity, kept []projections.Latest) projections.LiveEntity {
	e := projections.LiveEntity{Entity: entity, Latest: kept, SeenAt: kept[0].At}
	for _, l := range kept {
		e.SeenAt = max(e.SeenAt, l.At)
	}
	return e
}

// identityAt returns the host's identity model as it was at the instant. In the hour of the instant it may know more.
func (p *pastHost) identityAt(now *projections.Live) *projections.Identity {
	then := projections.Host{Live: *now}
	newest, any := then.LastSeen()
	if !any {
		newest = p.at
	}
	id := p.host.Identity.Until(min(p.at, newest))
	return &id
}
