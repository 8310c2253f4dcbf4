package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// ErrDiffers is the end of a comparison that found something.
var ErrDiffers = errors.New("the generations differ")

var errOfAnother = errors.New("the active generation was folded from another log, so there is nothing to compare with; " +
	"-activate without -compare takes its place")

// maxAttempts bounds how often a partition is read anew because etcd compacted what was being read.
const maxAttempts = 5

// compare tells every difference between two generations. Each partition is compared at one revision of the log: both
// are read as they were then, and what either had not folded by then is folded here. So nothing has to stand still, and
// what is found is no matter of timing.
func (r *rebuild) compare(ctx context.Context, active, rebuilt projections.Generation) error {
	d := &differences{tell: r.out.tell}
	for p := range events.Partition(r.partitions) {
		if err := r.comparePartition(ctx, p, active, rebuilt, d); err != nil {
			return err
		}
		r.out.progress("comparing %s with the active %s: %d of %d partitions", rebuilt, active, p+1, r.partitions)
	}
	r.out.tell("compared %s with the active %s: %d hosts, %d hours of their history, %d differences", rebuilt, active, d.hosts, d.windows, d.found)
	if d.found > 0 {
		return fmt.Errorf("%w in %d places", ErrDiffers, d.found)
	}
	return nil
}

func (r *rebuild) comparePartition(ctx context.Context, p events.Partition, active, rebuilt projections.Generation, d *differences) error {
	for attempt := 1; ; attempt++ {
		before := *d
		err := r.compareOnce(ctx, p, active, rebuilt, d)
		if !errors.Is(err, events.ErrCompacted) || attempt == maxAttempts || ctx.Err() != nil {
			return err
		}
		*d = before
	}
}

// side is one generation's share of a partition at a revision, with what it had not folded by then.
type side struct {
	hosts   map[events.HostID]*projections.Host
	history iter.Seq2[snapshot.HostSeries, error]
	offsets projections.Offsets
}

func (r *rebuild) side(ctx context.Context, g projections.Generation, p events.Partition, head events.Revision) (side, error) {
	part, err := r.store.PartitionAt(ctx, g, p, head.Number)
	if err != nil {
		return side{}, err
	}
	s := side{hosts: map[events.HostID]*projections.Host{}, history: r.store.HistoryAt(ctx, g, p, head.Number), offsets: part.Offsets}
	for i := range part.Hosts {
		s.hosts[part.Hosts[i].ID] = &part.Hosts[i]
	}
	if at := older(s.offsets); at.Number > 0 && !at.SameLog(head) {
		return side{}, fmt.Errorf("partition %d of generation %s: %w", p, g, errOfAnother)
	}
	return s, nil
}

// compareOnce compares a partition at the revision that is the head now.
func (r *rebuild) compareOnce(ctx context.Context, p events.Partition, active, rebuilt projections.Generation, d *differences) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return err
	}
	a, err := r.side(ctx, active, p, head)
	if err != nil {
		return err
	}
	b, err := r.side(ctx, rebuilt, p, head)
	if err != nil {
		return err
	}
	unfoldable, err := r.quarantined(ctx, p, active, rebuilt)
	if err != nil {
		return err
	}
	rest := history{}
	from := older(a.offsets)
	if at := older(b.offsets); at.Number < from.Number {
		from = at
	}
	for ev, err := range r.reader.Read(ctx, p, from, head) {
		if err != nil {
			return err
		}
		if ev.Damage == nil && !unfoldable[snapshot.EntryIDOf(ev.Key, ev.Revision)] {
			fold(&ev, a.hosts, b.hosts, rest)
		}
	}
	d.models(a.hosts, b.hosts)
	return d.histories(a.history, b.history, rest, max(a.offsets.HotFrom, b.offsets.HotFrom))
}

// history is records by window and host.
type history map[place]*projections.HostWindow

type place struct {
	window projections.Window
	host   events.HostID
}

// compare orders places as they are stored.
func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.window, q.window), cmp.Compare(events.Escape(string(p.host)), events.Escape(string(q.host))))
}

// quarantined returns the events of a partition that either generation could not fold. Their folds may panic; a panic of
// any other event's fold is a defect and surfaces.
func (r *rebuild) quarantined(ctx context.Context, p events.Partition, generations ...projections.Generation) (map[snapshot.EntryID]bool, error) {
	all := map[snapshot.EntryID]bool{}
	for _, g := range generations {
		for entry, err := range r.store.Quarantined(ctx, g, p) {
			if err != nil {
				return nil, err
			}
			all[entry.ID] = true
		}
	}
	return all, nil
}

// fold folds an event that may be folded on some side already, which makes no difference there.
func fold(ev *events.Event, a, b map[events.HostID]*projections.Host, rest history) {
	blank := projections.Host{ID: ev.Host}
	effect := blank.Apply(ev)
	for _, hosts := range []map[events.HostID]*projections.Host{a, b} {
		if hosts[ev.Host] == nil {
			hosts[ev.Host] = &projections.Host{ID: ev.Host}
		}
		hosts[ev.Host].Apply(ev)
	}
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, series := range part {
			at := place{w, ev.Host}
			if rest[at] == nil {
				rest[at] = &projections.HostWindow{}
			}
			rest[at].Add(series)
		}
	}
}
