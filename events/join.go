package events

import (
	"github.com/zeebo/xxh3"
)

// HostJoined is the metric of the record by which a host is joined to another one: a host that is the name of an
// exporter's pod to the node of that pod. The record is of the host that is joined and of none of its GPUs. Its value is 1,
// its label JoinedToLabel is the node, and the host's records up to its time are the node's, which has events with the same
// records.
//
// Only the join command appends such records. package metric keeps the name from every metric of a source, so that no
// upload can hide a host.
const HostJoined = "host_joined"

// The labels of a HostJoined record.
const (
	JoinedToLabel   = "joined_to"   // the node
	JoinedUptoLabel = "joined_upto" // a position: the host's events up to it are joined
)

// Join is the content of a HostJoined record.
type Join struct {
	Node HostID
	At   Timestamp // records of the host up to this time are the node's
	Upto Revision  // events of the host up to this position are joined
}

// Event returns the event that joins host.
func (j Join) Event(host HostID) Event {
	return controlEvent(host, Record{
		Identity: &Identity{Labels: []Label{{JoinedToLabel, string(j.Node)}, {JoinedUptoLabel, j.Upto.String()}}},
		Metric:   HostJoined, At: j.At,
	})
}

// controlEvent returns the event of one record of the pipeline itself. Its value is 1.
func controlEvent(host HostID, r Record) Event {
	r.Source, r.Value, r.Text = r.Metric, Value{Number: Int(1)}, []byte("1")
	c := NewCutter(Uncut(), "", "")
	c.Row(host, 0, []Record{r})
	return c.Flush()[0]
}

// Join returns the newest join that the event holds. It returns false if the event holds none.
func (e *Event) Join() (Join, bool) {
	var newest Join
	found := false
	for i := range e.Columns {
		c := &e.Columns[i]
		if c.Metric != HostJoined || c.Len() == 0 {
			continue
		}
		id := &e.Identities[c.Identity]
		at := c.Times[c.Len()-1]
		if node := id.label(JoinedToLabel); node != "" && (!found || at >= newest.At) {
			upto, _ := ParseRevision(id.label(JoinedUptoLabel)) // of a position that cannot be read, nothing is known
			newest, found = Join{Node: HostID(node), At: at, Upto: upto}, true
		}
	}
	return newest, found
}

// label returns the value of a label, or "" without it.
func (id *Identity) label(name string) string {
	for _, l := range id.Labels {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// JoinTo returns the event with the same records for another host. Its Sequence depends on the event's Sequence and the two
// hosts alone, so that an event joined twice is one event. It shares the memory of the records, and has no position yet.
func (e *Event) JoinTo(node HostID) Event {
	joined := *e
	joined.Host, joined.Sequence = node, e.joinedSequence(node)
	joined.AppendedAt, joined.Revision, joined.Key = 0, Revision{}, ""
	return joined
}

// joinedSequence is the 128-bit XXH3 of the name of the metric, the host, the node, each after its length, and the event's
// Sequence. Stored keys contain it; never change it.
func (e *Event) joinedSequence(node HostID) ContentHash {
	b := appendText(appendText(appendText(nil, HostJoined), string(e.Host)), string(node))
	return xxh3.Hash128(append(b, e.Sequence[:]...)).Bytes()
}
