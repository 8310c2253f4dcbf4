package events

import (
	"cmp"
	"container/heap"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Cutter packs an upload's rows into events: one event per host for every CutRules.EventRecords rows or EventBytes;
// when OpenRecords or OpenIdentities are open in total, it cuts the host with the most open records (ties: the smaller
// name). Rows come in file order, so the cut depends on the content alone. A Cutter is not safe for concurrent use.
//
// A row without records counts as one open record, so that rejected rows of ever new hosts are bounded like others.
// Rejected rows alone make no event.
type Cutter struct {
	rules  CutRules
	upload UploadID
	zone   string

	open    int // number of open records
	names   int // number of open hosts and of their identities
	hosts   map[HostID]*openHost
	last    *openHost   // host of the previous row
	heap    hostHeap    // by records open at the last update
	changed []*openHost // hosts changed since then
	spare   []*openHost
	maker   eventMaker
}

// openHost is a host with open records.
type openHost struct {
	openEvent
	rows, size int
	open       int // number of open records

	rank    int // open, as of the last update of the heap
	index   int // in the heap; -1 outside
	changed bool
}

// maxSpare is the maximum number of hosts whose memory is kept for reuse.
const maxSpare = 32

// NewCutter returns a Cutter for one file. Zero rules mean their defaults.
func NewCutter(rules CutRules, upload UploadID, zone string) *Cutter {
	return &Cutter{rules: rules.WithDefaults(), upload: upload, zone: zone, hosts: make(map[HostID]*openHost)}
}

// Restart drops all rows and begins another file, in the memory of the one before: the events of that one must not be used
// any more.
func (c *Cutter) Restart(rules CutRules, upload UploadID, zone string) {
	c.rules, c.upload, c.zone = rules.WithDefaults(), upload, zone
	c.maker.releaseEvents()
	for _, h := range c.changed {
		h.changed = false
	}
	for _, h := range c.hosts {
		h.resetRecords()
		h.rows, h.size, h.open, h.index = 0, 0, 0, -1
		if len(c.spare) < maxSpare {
			c.spare = append(c.spare, h)
		}
	}
	clear(c.hosts)
	clear(c.heap)
	clear(c.changed)
	c.heap, c.changed = c.heap[:0], c.changed[:0]
	c.open, c.names, c.last = 0, 0, nil
}

// Row adds one row of host with its records, accepted or not, and returns the events that it completes, if any. size
// is the length of the row's source text. Row keeps neither records nor their Text.
func (c *Cutter) Row(host HostID, size int, records []Record) []Event {
	h := c.hostFor(host)
	known := len(h.identities)
	for i := range records {
		h.addRecord(&records[i])
	}
	c.names += len(h.identities) - known
	h.rows++
	h.size += size
	h.open += max(1, len(records))
	c.open += max(1, len(records))
	if !h.changed {
		h.changed = true
		c.changed = append(c.changed, h)
	}
	var done []Event
	if h.rows >= c.rules.EventRecords || h.size >= c.rules.EventBytes {
		done = c.cutHost(done, h)
	}
	for c.open >= c.rules.OpenRecords || c.names >= c.rules.OpenIdentities {
		done = c.cutHost(done, c.fullestHost())
	}
	return done
}

// Flush completes all open events, in order of host name.
func (c *Cutter) Flush() []Event { return slices.Collect(c.Drain()) }

// Drain returns an iterator that completes the open events one by one, in order of host name. It needs the memory of one
// event besides the open records.
func (c *Cutter) Drain() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		var done []Event
		for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
			done = c.cutHost(done[:0], c.hosts[name])
			if len(done) > 0 && !yield(done[0]) {
				return
			}
		}
	}
}

// hostFor returns the open host of a name and creates it if needed.
func (c *Cutter) hostFor(name HostID) *openHost {
	if c.last != nil && c.last.host == name {
		return c.last
	}
	h, ok := c.hosts[name]
	if !ok {
		h = c.newHost(name)
	}
	c.last = h
	return h
}

func (c *Cutter) newHost(name HostID) *openHost {
	var h *openHost
	if n := len(c.spare); n > 0 {
		h, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		h = &openHost{index: -1}
	}
	name = HostID(strings.Clone(string(name)))
	h.beginEvent(name, c.zone)
	c.hosts[name] = h
	c.names++
	return h
}

// cutHost closes a host and appends its event, if it has records.
func (c *Cutter) cutHost(done []Event, h *openHost) []Event {
	if len(h.readings) > 0 {
		done = append(done, c.maker.makeEvent(&h.openEvent, c.upload))
	}
	c.open -= h.open
	c.names -= 1 + len(h.identities)
	delete(c.hosts, h.host)
	if h.index >= 0 {
		heap.Remove(&c.heap, h.index)
	}
	if c.last == h {
		c.last = nil
	}
	h.resetRecords()
	h.rows, h.size, h.open = 0, 0, 0
	if len(c.spare) < maxSpare {
		c.spare = append(c.spare, h)
	} else if len(c.changed) > 2*(len(c.hosts)+maxSpare) {
		c.updateHeap() // releases hosts that were cut
	}
	return done
}

// fullestHost returns the host with the most open records.
func (c *Cutter) fullestHost() *openHost {
	c.updateHeap()
	return c.heap[0]
}

// updateHeap brings the heap up to date. It runs as rarely as possible, so that a row has no heap cost.
func (c *Cutter) updateHeap() {
	for _, h := range c.changed {
		h.changed = false
		h.rank = h.open
		switch {
		case h.open == 0: // cut in the meantime
		case h.index < 0:
			heap.Push(&c.heap, h)
		default:
			heap.Fix(&c.heap, h.index)
		}
	}
	clear(c.changed)
	c.changed = c.changed[:0]
}

// hostHeap is a heap (container/heap) with the host that has the most open records on top; ties go to the smaller
// name.
type hostHeap []*openHost

func (f hostHeap) Len() int { return len(f) }

func (f hostHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(f[j].rank, f[i].rank), cmp.Compare(f[i].host, f[j].host)) < 0
}

func (f hostHeap) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].index, f[j].index = i, j
}

// Push implements heap.Interface.
func (f *hostHeap) Push(x any) {
	h := x.(*openHost)
	h.index = len(*f)
	*f = append(*f, h)
}

// Pop implements heap.Interface.
func (f *hostHeap) Pop() any {
	last := len(*f) - 1
	h := (*f)[last]
	(*f)[last] = nil
	*f = (*f)[:last]
	h.index = -1
	return h
}
