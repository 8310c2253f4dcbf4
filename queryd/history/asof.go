package history

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// AsOf gives the view as it follows from the records of s with a time up to at: what was latest then, of the hosts and
// GPUs that had been seen by then. With only, the answer is right for these hosts and their GPUs, and may lack others.
//
// What was seen last by then is known without reading. For the rest the windows are read backwards from at until every
// metric is found; one that a GPU had not had yet is looked for as far as its host's history goes. Memory is that of
// some host windows, besides the answer.
func (h *History) AsOf(ctx context.Context, s *live.State, at events.Timestamp, only []events.HostID) (*live.State, error) {
	key := moment{at: at, position: s.At(), generation: s.Generation(), only: fmt.Sprint(sorted(only))}
	if past, ok := h.moments.get(key); ok {
		return past, nil
	}
	if err := h.moments.enter(ctx); err != nil {
		return nil, fmt.Errorf("the state at %s: %w", at, err)
	}
	defer h.moments.leave()
	if past, ok := h.moments.get(key); ok {
		return past, nil
	}
	hosts := s.Hosts()
	if len(only) > 0 {
		hosts = together(s, only)
	}
	past, err := h.rewind(ctx, s, hosts, at)
	if err != nil {
		return nil, fmt.Errorf("the state at %s: %w", at, err)
	}
	h.moments.put(key, past)
	return past, nil
}

// together gives hosts and those that share a GPU with them: where its newest record was from, all of them tell.
func together(s *live.State, only []events.HostID) []*live.Host {
	wanted := make(map[events.HostID]bool, len(only))
	for _, id := range only {
		wanted[id] = true
	}
	for _, g := range s.GPUs() {
		if slices.ContainsFunc(only, func(id events.HostID) bool { return slices.Contains(g.Hosts, id) }) {
			for _, id := range g.Hosts {
				wanted[id] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Hosts()), func(host *live.Host) bool { return !wanted[host.ID] })
}

// rewound bounds how many hosts are gone back with side by side.
const rewound = 16

// rewind gives the state of hosts at an instant, a few hosts of one partition at a time.
func (h *History) rewind(ctx context.Context, s *live.State, hosts []*live.Host, at events.Timestamp) (*live.State, error) {
	models := make([]projections.Stored, 0, len(hosts))
	var late []*past
	for _, host := range hosts {
		switch p := newPast(host, at); {
		case host.FirstSeen > at:
		case host.LastSeen <= at:
			models = append(models, projections.Stored{Host: host.ID, Partition: host.Partition, Live: &host.Live, Identity: &host.Identity})
		case len(p.need) == 0:
			models = append(models, p.stored())
		default:
			late = append(late, p)
		}
	}
	slices.SortStableFunc(late, func(a, b *past) int { return cmp.Compare(a.host.Partition, b.host.Partition) })
	for some := range slices.Chunk(late, rewound) {
		r := rewinding{scan: h.scan(s, &selection{}), at: at, late: some}
		if err := r.run(ctx); err != nil {
			return nil, err
		}
		for _, p := range some {
			models = append(models, p.stored())
		}
	}
	return s.With(models), nil
}

// rewinding goes back with a few hosts.
type rewinding struct {
	scan
	at   events.Timestamp
	late []*past // that still need something
}

// run reads windows backwards, each time about twice as many as before, until nothing is needed.
func (r *rewinding) run(ctx context.Context) error {
	var group []projections.Window
	size := 1
	for w := range windows(r.hosts(), span{from: math.MinInt64, to: r.at}, false) {
		if group = append(group, w); len(group) < size {
			continue
		}
		if err := r.group(ctx, group); err != nil {
			return err
		}
		if len(r.late) == 0 {
			return nil
		}
		group = group[:0]
		size = min(2*size, max(maxPairs/len(r.late), 1))
	}
	return r.group(ctx, group)
}

func (r *rewinding) hosts() []*live.Host {
	hosts := make([]*live.Host, len(r.late))
	for i, p := range r.late {
		hosts[i] = p.host
	}
	return hosts
}

// group reads windows, and lets go of the hosts that have all they need.
func (r *rewinding) group(ctx context.Context, group []projections.Window) error {
	if len(group) == 0 {
		return nil
	}
	slices.Sort(group)
	r.sel.metrics = r.metrics()
	parts, err := r.load(ctx, r.hosts(), group)
	if err != nil {
		return err
	}
	byHost := make(map[events.HostID]*past, len(r.late))
	for _, p := range r.late {
		byHost[p.host.ID] = p
	}
	for _, part := range parts {
		sets := part.series()
		for i := range sets { // the newest windows first
			byHost[part.host.ID].take(&sets[len(sets)-1-i])
		}
	}
	r.late = slices.DeleteFunc(slices.Clone(r.late), func(p *past) bool { return len(p.need) == 0 })
	return context.Cause(ctx)
}

// metrics gives those that are needed; none, which means all, while a part of a GPU is there whose newest record is not
// found, since any metric may have that.
func (r *rewinding) metrics() []string {
	var names []string
	for _, p := range r.late {
		if len(p.unseen) > 0 {
			return nil
		}
		for n := range p.need {
			names = append(names, n.metric)
		}
	}
	return sorted(names)
}

// past is a host on the way back to an instant.
type past struct {
	host   *live.Host
	at     events.Timestamp
	whole  []projections.LiveEntity               // that were seen last by then: they are as they are now
	kept   map[events.Entity][]projections.Latest // of the others, readings that were the latest then and are now
	need   map[needed]bool                        // not found yet
	unseen map[events.Entity]bool                 // of which nothing is found yet
	then   projections.Host                       // what was found
}

// needed is a metric of an entity.
type needed struct {
	entity events.Entity
	metric string
}

// newPast tells what is known of a host without reading.
func newPast(host *live.Host, at events.Timestamp) *past {
	p := &past{
		host: host, at: at, then: projections.Host{ID: host.ID},
		kept: make(map[events.Entity][]projections.Latest), need: make(map[needed]bool), unseen: make(map[events.Entity]bool),
	}
	there := make(map[events.Entity]bool)
	for i := range host.Identity.Known {
		if k := &host.Identity.Known[i]; k.FirstSeen <= at {
			there[k.Identity.Entity(host.ID)] = true
		}
	}
	for _, e := range host.Live.Entities {
		switch {
		case !there[e.Entity]:
		case e.SeenAt <= at:
			p.whole = append(p.whole, e)
		default:
			p.miss(&e)
		}
	}
	return p
}

// miss notes what has to be found of an entity that was seen later too.
func (p *past) miss(e *projections.LiveEntity) {
	p.unseen[e.Entity] = true
	for _, l := range e.Latest {
		if l.At <= p.at {
			p.kept[e.Entity] = append(p.kept[e.Entity], l)
		} else {
			p.need[needed{e.Entity, l.Metric}] = true
		}
	}
}

// take folds the newest reading of each column up to the instant.
func (p *past) take(s *projections.HostWindow) {
	ev := events.Event{Host: p.host.ID}
	index := make(map[events.IdentityID]int)
	for i := range s.Columns {
		c := &s.Columns[i]
		n, _ := slices.BinarySearch(c.Times, p.at+1)
		if p.at == maxTime {
			n = len(c.Times)
		}
		known, ok := p.host.Identity.Find(c.Identity)
		if n == 0 || !ok || !p.need[needed{c.Entity, c.Metric}] && !p.unseen[c.Entity] {
			continue
		}
		if _, ok := index[c.Identity]; !ok {
			index[c.Identity] = len(ev.Identities)
			ev.Identities = append(ev.Identities, known.Identity)
		}
		column := events.Column{Identity: index[c.Identity], Metric: c.Metric, Source: c.Source}
		column.Add(c.At(n - 1))
		ev.Columns = append(ev.Columns, column)
	}
	p.then.Apply(&ev)
	for i := range ev.Columns {
		c := &ev.Columns[i]
		entity := ev.Identities[c.Identity].Entity(p.host.ID)
		delete(p.need, needed{entity, c.Metric})
		delete(p.unseen, entity)
	}
}

// stored gives the models at the instant.
func (p *past) stored() projections.Stored {
	now := projections.Live{Entities: slices.Clone(p.whole)}
	found := make(map[events.Entity]bool)
	for _, e := range p.then.Live.Entities {
		found[e.Entity] = true
		e.Latest = slices.Clone(e.Latest)
		for _, l := range p.kept[e.Entity] {
			if _, there := projections.Find(p.latest(e.Entity), l.Metric); !there {
				e.Latest = append(e.Latest, l)
			}
		}
		slices.SortFunc(e.Latest, func(a, b projections.Latest) int { return cmp.Compare(a.Metric, b.Metric) })
		now.Entities = append(now.Entities, e)
	}
	for entity, kept := range p.kept {
		if !found[entity] {
			now.Entities = append(now.Entities, p.faded(entity, kept))
		}
	}
	slices.SortFunc(now.Entities, func(a, b projections.LiveEntity) int { return a.Entity.Compare(b.Entity) })
	return projections.Stored{Host: p.host.ID, Partition: p.host.Partition, Live: &now, Identity: p.identity(&now)}
}

// latest gives what was found of an entity.
func (p *past) latest(of events.Entity) []projections.Latest {
	i, ok := slices.BinarySearchFunc(p.then.Live.Entities, of, func(e projections.LiveEntity, of events.Entity) int { return e.Entity.Compare(of) })
	if !ok {
		return nil
	}
	return p.then.Live.Entities[i].Latest
}

// faded is an entity whose history is not kept: there are the readings that are still its latest, and of the identities
// it had by then it cannot be told which was the last.
func (p *past) faded(entity events.Entity, kept []projections.Latest) projections.LiveEntity {
	e := projections.LiveEntity{Entity: entity, Latest: kept, SeenAt: kept[0].At}
	for _, l := range kept {
		e.SeenAt = max(e.SeenAt, l.At)
	}
	for _, k := range p.host.Identity.Known {
		if k.FirstSeen <= p.at && k.Identity.Entity(p.host.ID) == entity {
			e.Identity = max(e.Identity, k.ID)
		}
	}
	return e
}

// identity cuts what is known of the host to what was known at the instant.
func (p *past) identity(now *projections.Live) *projections.Identity {
	var id projections.Identity
	for _, k := range p.host.Identity.Known {
		if k.FirstSeen <= p.at {
			id.Known = append(id.Known, k)
		}
	}
	then := projections.Host{Live: *now}
	newest, any := then.LastSeen()
	for _, run := range p.host.Identity.Windows {
		if !any || run.First > projections.WindowOf(newest) {
			break
		}
		run.Last = min(run.Last, projections.WindowOf(newest))
		id.Windows = append(id.Windows, run)
	}
	return &id
}
