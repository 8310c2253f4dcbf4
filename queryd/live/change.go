package live

import (
	"slices"

	"telemetry-pipeline/events"
)

// change is what one stored change did to the view: the GPUs some of whose readings changed at that
// position, and those that left. It holds no change that no reader could see. Immutable.
type change struct {
	streamPosition            // of the view after it (not the State itself: changes outlive it)
	entries []*entry // by (host, id); their marks at the position are what changed
	departures    []departure
	bytes   int
}

// isEmpty tells that there is nothing to publish.
func (c *change) isEmpty() bool { return len(c.entries) == 0 && len(c.departures) == 0 }

// basePosition is the position after which the change's readings changed.
func (c *change) basePosition() int64 { return c.at.Number - 1 }

// messageFor gives what a filter selects of the change, nil when that is nothing.
func (c *change) messageFor(f *filter) *Message {
	var items []Item
	for _, e := range c.entries {
		if f.matchesHost(e.gpu.Host) && f.matchesGPU(e.gpu.ID) {
			items = e.appendItems(items, f, c.basePosition())
		}
	}
	return newUpdate(c.streamPosition, items, removedGPUs(c.departures, f))
}

// matchesFilter tells whether message would not be nil.
func (c *change) matchesFilter(f *filter) bool {
	var room [1]Item
	for _, e := range c.entries {
		if f.matchesHost(e.gpu.Host) && f.matchesGPU(e.gpu.ID) && len(e.appendItems(room[:0], f, c.basePosition())) > 0 {
			return true
		}
	}
	return len(removedGPUs(c.departures, f)) > 0
}

// newUpdate makes an Update at a place, nil without content.
func newUpdate(p streamPosition, items []Item, gone []events.GPUID) *Message {
	if len(items) == 0 && len(gone) == 0 {
		return nil
	}
	return &Message{Kind: Update, Token: p.token, At: p.at, Folded: p.folded, Items: items, Removed: gone}
}

// removedGPUs gives the GPUs that a reader with filter f must forget, sorted. One that only moved stays known
// to a reader of all hosts; to others it may have been out of sight for a while, so they begin anew with
// it.
func removedGPUs(all []departure, f *filter) []events.GPUID {
	var out []events.GPUID
	for _, l := range all {
		if (l.voided || len(f.hosts) > 0) && f.matchesHost(l.host) && f.matchesGPU(l.gpu) {
			out = append(out, l.gpu)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// estimateSize estimates how many bytes a message takes on its way.
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

// estimateSize is the size of the change for a reader of everything.
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
