package live

import (
	"slices"

	"telemetry-pipeline/events"
)

// change is the effect of one stored change on the view: the GPUs with readings that changed at that position, and
// the departures. It leaves out changes that no reader could see. Immutable.
type change struct {
	streamPosition               // of the view after the change (not the State itself: changes outlive it)
	entries        []*trackedGPU // by (host, id); readings whose changedAt is the position are the ones that changed
	departures     []departure
	trace          events.TraceContext // in which the change was stored, if it is sampled
	bytes          int
}

// isEmpty reports whether there is nothing to publish.
func (c *change) isEmpty() bool { return len(c.entries) == 0 && len(c.departures) == 0 }

// basePosition returns the position after which the change's readings changed.
func (c *change) basePosition() int64 { return c.at.Number - 1 }

// messageFor returns the part of the change that a filter selects, nil if there is none.
func (c *change) messageFor(f *filter) *Message {
	var items []Item
	for _, e := range c.entries {
		if f.matchesHost(e.gpu.Host) && f.matchesGPU(e.namedGPU) {
			items = e.appendItems(items, f, c.basePosition())
		}
	}
	m := newUpdate(c.streamPosition, items, removedGPUs(c.departures, f))
	if m != nil && !c.trace.IsZero() {
		m.traces = []events.TraceContext{c.trace}
	}
	return m
}

// matchesFilter reports whether messageFor returns a message.
func (c *change) matchesFilter(f *filter) bool {
	var room [1]Item
	for _, e := range c.entries {
		if f.matchesHost(e.gpu.Host) && f.matchesGPU(e.namedGPU) && len(e.appendItems(room[:0], f, c.basePosition())) > 0 {
			return true
		}
	}
	return len(removedGPUs(c.departures, f)) > 0
}

// newUpdate returns an Update at a position, nil if it would be empty.
func newUpdate(p streamPosition, items []Item, gone []events.GPUID) *Message {
	if len(items) == 0 && len(gone) == 0 {
		return nil
	}
	return &Message{Kind: Update, Token: p.token, At: p.at, Folded: p.folded, Items: items, Removed: gone}
}

// removedGPUs returns the GPUs that a reader with filter f must forget, sorted. A GPU that only moved, or has other names
// now, stays known to a reader of all hosts. To readers by host or name it may have been out of sight for a while, so they
// start again with all of its readings.
func removedGPUs(all []departure, f *filter) []events.GPUID {
	var out []events.GPUID
	for _, l := range all {
		if (l.voided || len(f.hosts) > 0 || f.aliases) && f.matchesHost(l.gpu.Host) && f.matchesGPU(l.namedGPU) {
			out = append(out, l.gpu.ID)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// estimateSize returns an estimate of the message's encoded size in bytes.
func (m *Message) estimateSize() int {
	n := 128 + 48*len(m.Removed)
	for _, item := range m.Items {
		n += itemBytes(item)
	}
	return n
}

func itemBytes(item Item) int {
	n := 64 + len(item.GPU) + len(item.Part) + len(item.Host)
	for _, r := range item.Readings {
		n += len(r.Metric) + len(r.Value.Raw) + 16
	}
	return n
}

// estimateSize returns an estimate of the change's encoded size for a reader without a filter.
func (c *change) estimateSize() int {
	n := 128 + 96*len(c.departures)
	var items []Item
	for _, e := range c.entries {
		items = e.appendItems(items[:0], &filter{}, c.basePosition())
		for _, item := range items {
			n += itemBytes(item)
		}
	}
	return n
}
