package join

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// findHosts finds the hosts and their joins so far, and refuses a join that cannot be right.
func (r *run) findHosts(ctx context.Context, head events.Revision) error {
	count := r.Log.Facts().Partitions
	home := events.PartitionOf(r.node, count)
	partitions := r.selected.Partitions(count)
	if !slices.Contains(partitions, home) {
		partitions = append(partitions, home)
	}
	nodeEvents := 0
	for i, p := range partitions {
		for ev, err := range r.All.Read(ctx, p, events.Revision{}, head) {
			if err != nil {
				return fmt.Errorf("reading partition %d: %w", p, err)
			}
			r.reportSometimes("looking for the hosts in partition %d of %d", i+1, len(partitions))
			if ev.Host != r.node {
				r.noteHost(&ev, head)
				continue
			}
			nodeEvents++
			if join, found := ev.Join(); found {
				return fmt.Errorf("host %s is joined to %s itself since %s: join the hosts to that one", r.node, join.Node, join.At)
			}
		}
	}
	if nodeEvents == 0 {
		fmt.Fprintf(r.progress, "host %s has no events so far\n", r.node)
	}
	return r.checkFound()
}

// noteHost adds the host of an event to the hosts that are joined, if it is one.
func (r *run) noteHost(ev *events.Event, head events.Revision) {
	if ev.Host == "" || !r.selected.Host(ev.Host) {
		return
	}
	h := r.hosts[ev.Host]
	if h == nil {
		h = &host{}
		r.hosts[ev.Host] = h
	}
	if ev.Damage != nil {
		h.damaged++
		return
	}
	join, found := ev.Join()
	if !found || h.last != nil && join.At < h.last.At {
		return
	}
	h.last = &join
	if join.Upto.SameLog(head) { // else it is of the log that the events were exported from
		h.joined = join.Upto
	}
}

func (r *run) checkFound() error {
	var missing []string
	for _, name := range r.cfg.Hosts {
		if !strings.ContainsAny(name, "*?") && r.hosts[events.HostID(name)] == nil {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) > 0:
		return fmt.Errorf("there are no events of %s: the names have to be as they are listed", strings.Join(missing, ", "))
	case len(r.hosts) == 0:
		return fmt.Errorf("no host is called %s", r.cfg.Hosts.String())
	}
	for name, h := range r.hosts {
		if h.last != nil && h.last.Node != r.node {
			return fmt.Errorf("host %s is joined to %s since %s, and cannot be joined to %s as well", name, h.last.Node, h.last.At, r.node)
		}
	}
	return nil
}
