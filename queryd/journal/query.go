package journal

import (
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// Query asks for events. An empty field does not restrict.
type Query struct {
	Partition    events.Partition
	HasPartition bool
	Hosts        []events.HostID
	GPUs         []events.GPUID // with their parts, by a name that the event's records have (filter.Exact)
	Metrics      []string       // canonical names or names of the source
	Uploads      []events.UploadID
	After        events.Revision // exclusive
	Before       events.Revision // exclusive
	Damaged      bool            // only damaged ones
	Oldest       bool            // oldest first; default newest first
	Limit        int             // 1 to MaxLimit
	Records      int             // a page ends with the event that brings its records to this number; 0: no such bound
	Cursor       Cursor
}

// MaxLimit bounds a page.
const MaxLimit = 1000

// recordFilter returns the filter for the records of an event.
func (q *Query) recordFilter() *filter.Filter { return filter.Exact(q.Hosts, q.GPUs, q.Metrics) }

// matchesKey reports whether an event can match by its key. A key without a host can.
func (s *scan) matchesKey(key string) bool {
	at := strings.LastIndex(key, "/queue/")
	if at < 0 {
		return true
	}
	k, err := events.ParseKey(key[at+1:])
	return err != nil || s.filter.Host(k.Host)
}

// matchesEvent reports whether an event is wanted. A damaged event has a host at most.
func (s *scan) matchesEvent(ev *events.Event) bool {
	q := &s.q
	switch {
	case q.Damaged && ev.Damage == nil,
		!s.filter.Host(ev.Host),
		len(q.Uploads) > 0 && !slices.Contains(q.Uploads, ev.Upload):
		return false
	}
	return len(q.GPUs) == 0 && len(q.Metrics) == 0 || s.filter.Any(ev)
}
