package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// ErrDiffers ends a comparison that found differences.
var ErrDiffers = errors.New("the generations differ")

var errOtherLog = errors.New("the active generation was folded from another log, so there is nothing to compare with; " +
	"-activate without -compare takes its place")

// maxAttempts bounds the attempts to read a partition whose revision etcd compacted meanwhile.
const maxAttempts = 5

// compareGenerations reports every difference between two generations. Each partition is compared at one revision of
// the log: both generations are read at that revision, and events that either had not folded by then are folded here.
// So nothing has to stand still, and no difference is an effect of timing.
func (r *rebuild) compareGenerations(ctx context.Context, active, rebuilt projections.Generation) error {
	d := &differences{printf: r.out.printf}
	for p := range events.Partition(r.partitions) {
		if err := r.comparePartition(ctx, p, active, rebuilt, d); err != nil {
			return err
		}
		r.out.printProgress("comparing %s with the active %s: %d of %d partitions", rebuilt, active, p+1, r.partitions)
	}
	r.out.printf("compared %s with the active %s: %d hosts, %d hours of their history, %d differences", rebuilt, active, d.hosts, d.windows, d.found)
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

// partitionState is one generation's state of a partition at a revision, completed by the events not folded by then.
type partitionState struct {
	hosts   map[events.HostID]*projections.Host
	history iter.Seq2[snapshot.HostSeries, error]
	offsets projections.Offsets
}

func (r *rebuild) loadState(ctx context.Context, g projections.Generation, p events.Partition, head events.Revision) (partitionState, error) {
	part, err := r.store.PartitionAt(ctx, g, p, head.Number)
	if err != nil {
		return partitionState{}, err
	}
	s := partitionState{hosts: map[events.HostID]*projections.Host{}, history: r.store.HistoryAt(ctx, g, p, head.Number), offsets: part.Offsets}
	for i := range part.Hosts {
		s.hosts[part.Hosts[i].ID] = &part.Hosts[i]
	}
	if at := foldedUpto(s.offsets); at.Number > 0 && !at.SameLog(head) {
		return partitionState{}, fmt.Errorf("partition %d of generation %s: %w", p, g, errOtherLog)
	}
	return s, nil
}

// compareOnce compares a partition at the current head revision.
func (r *rebuild) compareOnce(ctx context.Context, p events.Partition, active, rebuilt projections.Generation, d *differences) error {
	head, err := r.log.Head(ctx)
	if err != nil {
		return err
	}
	a, err := r.loadState(ctx, active, p, head)
	if err != nil {
		return err
	}
	b, err := r.loadState(ctx, rebuilt, p, head)
	if err != nil {
		return err
	}
	unfoldable, err := r.quarantinedEvents(ctx, p, active, rebuilt)
	if err != nil {
		return err
	}
	rest := windowRecords{}
	from := foldedUpto(a.offsets)
	if at := foldedUpto(b.offsets); at.Number < from.Number {
		from = at
	}
	for ev, err := range r.reader.Read(ctx, p, from, head) {
		if err != nil {
			return err
		}
		if ev.Damage == nil && !unfoldable.contains(&ev) {
			foldEvent(&ev, a.hosts, b.hosts, rest)
		}
	}
	d.compareModels(a.hosts, b.hosts)
	return d.compareHistories(a.history, b.history, rest, max(a.offsets.HotFrom, b.offsets.HotFrom))
}

// windowRecords is records by window and host.
type windowRecords map[windowKey]*projections.HostWindow

type windowKey struct {
	window projections.Window
	host   events.HostID
}

// compareTo orders keys as they are stored.
func (p windowKey) compareTo(q windowKey) int {
	return cmp.Or(cmp.Compare(p.window, q.window), cmp.Compare(events.Escape(string(p.host)), events.Escape(string(q.host))))
}

// quarantined are events that some generation could not fold.
type quarantined struct {
	entries   map[snapshot.EntryID]bool
	summaries []snapshot.Quarantined
}

// contains reports whether an event is quarantined, or may be, because it is in the range of a summary.
func (q *quarantined) contains(ev *events.Event) bool {
	return q.entries[snapshot.EntryIDOf(ev.Key, ev.Revision)] || slices.ContainsFunc(q.summaries, func(sum snapshot.Quarantined) bool {
		return sum.Revision.Number <= ev.Revision.Number && ev.Revision.Number <= sum.LastRevision.Number
	})
}

// quarantinedEvents returns the events of a partition that either generation could not fold. Their folds may panic; a panic of
// any other event's fold is a defect and surfaces.
func (r *rebuild) quarantinedEvents(ctx context.Context, p events.Partition, generations ...projections.Generation) (quarantined, error) {
	all := quarantined{entries: map[snapshot.EntryID]bool{}}
	for _, g := range generations {
		for entry, err := range r.store.Quarantined(ctx, g, p) {
			if err != nil {
				return all, err
			}
			if all.entries[entry.ID] = true; entry.ID.IsSummary() {
				all.summaries = append(all.summaries, entry)
			}
		}
	}
	return all, nil
}

// foldEvent folds an event that may be folded in either generation already, which makes no difference there.
func foldEvent(ev *events.Event, a, b map[events.HostID]*projections.Host, rest windowRecords) {
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
			at := windowKey{w, ev.Host}
			if rest[at] == nil {
				rest[at] = &projections.HostWindow{}
			}
			rest[at].Add(series)
		}
	}
}
