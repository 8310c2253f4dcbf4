package journal

import (
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// Query asks for events. What is empty does not restrict.
type Query struct {
	Partition    events.Partition
	HasPartition bool
	Hosts        []events.HostID
	GPUs         []events.GPUID // with their parts; "host:index" is the GPU that has that index in the event
	Metrics      []string       // canonical names or those of the source
	Uploads      []events.UploadID
	After        events.Revision // exclusive
	Before       events.Revision // exclusive
	Damaged      bool            // only damaged ones
	Oldest       bool            // oldest first; default newest first
	Limit        int             // 1 to MaxLimit
	Records      int             // a page ends behind the event with which it has so many records; 0: no such bound
	Cursor       Cursor
}

// MaxLimit bounds a page.
const MaxLimit = 1000

// matchesKey tells whether an event can match by what its key says. A key that says nothing can.
func (q *Query) matchesKey(key string) bool {
	if len(q.Hosts) == 0 {
		return true
	}
	at := strings.LastIndex(key, "/queue/")
	if at < 0 {
		return true
	}
	k, err := events.ParseKey(key[at+1:])
	return err != nil || slices.Contains(q.Hosts, k.Host)
}

// matches tells whether an event is wanted. A damaged one has only a host, if that.
func (q *Query) matches(ev *events.Event) bool {
	switch {
	case q.Damaged && ev.Damage == nil,
		len(q.Hosts) > 0 && !slices.Contains(q.Hosts, ev.Host),
		len(q.Uploads) > 0 && !slices.Contains(q.Uploads, ev.Upload):
		return false
	case len(q.GPUs) == 0 && len(q.Metrics) == 0:
		return true
	}
	return slices.ContainsFunc(ev.Columns, func(c events.Column) bool {
		return (len(q.Metrics) == 0 || slices.Contains(q.Metrics, c.Metric) || slices.Contains(q.Metrics, c.Source)) &&
			(len(q.GPUs) == 0 || q.isOf(ev.Host, &ev.Identities[c.Identity]))
	})
}

// isOf tells whether readings of an identity are of a wanted GPU.
func (q *Query) isOf(host events.HostID, id *events.Identity) bool {
	return slices.Contains(q.GPUs, id.Entity(host).GPU) ||
		id.Index != "" && slices.Contains(q.GPUs, events.GPUID(string(host)+":"+id.Index))
}
