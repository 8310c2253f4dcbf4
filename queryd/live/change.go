package live

import (
	"slices"

	"telemetry-pipeline/events"
)

// change is what one stored change did to the view: the GPUs some of whose readings changed at that
// position, and those that left. It holds no change that no reader could see. Immutable.
type change struct {
	place            // of the view after it (not the State itself: changes outlive it)
	entries []*entry // by (host, id); their marks at the position are what changed
	left    []left
	bytes   int
}

// empty tells that there is nothing to publish.
func (c *change) empty() bool { return len(c.entries) == 0 && len(c.left) == 0 }

// after is the position after which the change's readings changed.
func (c *change) after() int64 { return c.at.Number - 1 }

// message gives what a filter selects of the change, nil when that is nothing.
func (c *change) message(f *filter) *Message {
	var items []Item
	for _, e := range c.entries {
		if f.host(e.gpu.Host) && f.gpu(e.gpu.ID) {
			items = e.items(items, f, c.after())
		}
	}
	return update(c.place, items, removed(c.left, f))
}

// touches tells whether message would not be nil.
func (c *change) touches(f *filter) bool {
	var room [1]Item
	for _, e := range c.entries {
		if f.host(e.gpu.Host) && f.gpu(e.gpu.ID) && len(e.items(room[:0], f, c.after())) > 0 {
			return true
		}
	}
	return len(removed(c.left, f)) > 0
}

// update makes an Update at a place, nil without content.
func update(p place, items []Item, gone []events.GPUID) *Message {
	if len(items) == 0 && len(gone) == 0 {
		return nil
	}
	return &Message{Kind: Update, Token: p.token, At: p.at, Folded: p.folded, Items: items, Removed: gone}
}

// removed gives the GPUs that a reader with filter f must forget, sorted. One that only moved stays known
// to a reader of all hosts; to others it may have been out of sight for a while, so they begin anew with
// it.
func removed(all []left, f *filter) []events.GPUID {
	var out []events.GPUID
	for _, l := range all {
		if (l.whole || len(f.hosts) > 0) && f.host(l.host) && f.gpu(l.gpu) {
			out = append(out, l.gpu)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// size estimates how many bytes a message takes on its way.
func (m *Message) size() int {
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

// estimate is the size of the change for a reader of everything.
func (c *change) estimate() int {
	n := 128 + 96*len(c.left)
	var items []Item
	for _, e := range c.entries {
		items = e.items(items[:0], &filter{}, c.after())
		for _, item := range items {
			n += itemBytes(item)
		}
	}
	return n
}
