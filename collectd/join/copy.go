package join

import (
	"context"
	"fmt"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

// section is a part of a partition by position, after < revision ≤ upto.
type section struct {
	partition   events.Partition
	after, upto events.Revision
}

// portion is as many events of the hosts as may be in memory by their sequences: the events of its sections, of which ids
// has the sequences, as events of the node, that the node does not have.
type portion struct {
	sections []section
	ids      map[events.ContentHash]struct{}
}

// copyEvents appends the events of the hosts in a range of positions as events of the node, unless the node has them. With
// DryRun it only counts them.
func (r *run) copyEvents(ctx context.Context, after, upto events.Revision) error {
	var left []section
	for _, p := range r.selected.Partitions(r.Log.Facts().Partitions) {
		left = append(left, section{p, after, upto})
	}
	for len(left) > 0 {
		var now portion
		var err error
		if now, left, err = r.nextPortion(ctx, left); err != nil {
			return err
		}
		if len(now.ids) == 0 {
			continue
		}
		if err := r.dropExisting(ctx, now.ids); err != nil {
			return err
		}
		if err := r.copyPortion(ctx, &now); err != nil {
			return err
		}
	}
	return nil
}

// nextPortion returns the first portion of sections, and the sections behind it.
func (r *run) nextPortion(ctx context.Context, all []section) (portion, []section, error) {
	now := portion{ids: map[events.ContentHash]struct{}{}}
	for i, s := range all {
		last := s.after
		for ev, err := range r.All.Read(ctx, s.partition, s.after, s.upto) {
			if err != nil {
				return now, nil, fmt.Errorf("reading partition %d: %w", s.partition, err)
			}
			if len(now.ids) >= r.maxIDs && ev.Revision.Number > last.Number {
				now.sections = append(now.sections, section{s.partition, s.after, last})
				return now, append([]section{{s.partition, last, s.upto}}, all[i+1:]...), nil
			}
			last = ev.Revision
			h := r.hostOf(&ev)
			if h == nil {
				continue
			}
			if h.total++; ev.Revision.Number > h.joined.Number {
				joined := ev.JoinTo(r.node)
				now.ids[joined.Sequence] = struct{}{}
				h.newest = max(h.newest, newestTime(&ev))
			}
			r.reportSometimes("looking for events that are joined already, in partition %d of %d", i+1, len(all))
		}
		now.sections = append(now.sections, s)
	}
	return now, nil, nil
}

// hostOf returns the host of an event that can be joined; nil for any other event.
func (r *run) hostOf(ev *events.Event) *host {
	h := r.hosts[ev.Host]
	if h == nil || ev.Damage != nil {
		return nil
	}
	if _, found := ev.Join(); found {
		return nil
	}
	return h
}

// newestTime returns the latest time of an event's records.
func newestTime(ev *events.Event) events.Timestamp {
	newest := ev.First()
	for i := range ev.Columns {
		times := ev.Columns[i].Times
		newest = max(newest, times[len(times)-1])
	}
	return newest
}

// dropExisting removes the sequences of all events that the node has, in the log or the archive.
func (r *run) dropExisting(ctx context.Context, ids map[events.ContentHash]struct{}) error {
	head, err := r.All.Head(ctx)
	if err != nil {
		return err
	}
	p := events.PartitionOf(r.node, r.Log.Facts().Partitions)
	for ev, err := range r.All.Read(ctx, p, events.Revision{}, head) {
		if err != nil {
			return fmt.Errorf("reading partition %d: %w", p, err)
		}
		if ev.Host == r.node {
			delete(ids, ev.Sequence)
		}
	}
	return nil
}

// copyPortion appends the events of a portion.
func (r *run) copyPortion(ctx context.Context, now *portion) error {
	for _, s := range now.sections {
		for ev, err := range r.All.Read(ctx, s.partition, s.after, s.upto) {
			if err != nil {
				return fmt.Errorf("reading partition %d: %w", s.partition, err)
			}
			h := r.hostOf(&ev)
			if h == nil {
				continue
			}
			joined := ev.JoinTo(r.node)
			if _, missing := now.ids[joined.Sequence]; !missing {
				continue
			}
			delete(now.ids, joined.Sequence)
			if err := r.addEvent(ctx, h, joined); err != nil {
				return err
			}
			r.reportSometimes("partition %d: %d events are left to join", s.partition, len(now.ids)+len(r.pending.events))
		}
	}
	return r.flushPending(ctx)
}

// batch is the events that are appended next, and the host of each.
type batch struct {
	events  []events.Event
	hosts   []*host
	records int
}

func (r *run) addEvent(ctx context.Context, h *host, ev events.Event) error {
	n := ev.Records()
	if r.cfg.DryRun {
		h.created, h.records = h.created+1, h.records+n
		return nil
	}
	b := &r.pending
	b.events, b.hosts, b.records = append(b.events, ev), append(b.hosts, h), b.records+n
	if len(b.events) < r.maxBatch && b.records < batchRecords {
		return nil
	}
	return r.flushPending(ctx)
}

func (r *run) flushPending(ctx context.Context) error {
	b := r.pending
	r.pending = batch{}
	if len(b.events) == 0 {
		return nil
	}
	appended, err := r.appendFolded(ctx, b.events)
	for i, a := range appended {
		if a.Created {
			b.hosts[i].created++
			b.hosts[i].records += b.events[i].Records()
		}
	}
	return err
}

// appendFolded appends events as soon as etcd has room, and returns when the collectors have folded them.
func (r *run) appendFolded(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	if err := r.awaitRoom(ctx); err != nil {
		return nil, err
	}
	appended, err := r.Log.Append(ctx, evs)
	if err != nil {
		return nil, err
	}
	upto := map[events.Partition]events.Revision{}
	for i, a := range appended {
		p := events.PartitionOf(evs[i].Host, r.Log.Facts().Partitions)
		if a.Revision.Number > upto[p].Number {
			upto[p] = a.Revision
		}
	}
	return appended, r.awaitFolded(ctx, upto)
}
