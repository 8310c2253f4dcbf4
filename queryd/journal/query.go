package journal

import (
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
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
	host, known := hostInKey(key)
	return (!known || s.filter.Host(host)) && seesKey(s.scope, key)
}

// hostInKey returns the host that an event's key contains.
func hostInKey(key string) (host events.HostID, known bool) {
	at := strings.LastIndex(key, "/queue/")
	if at < 0 {
		return "", false
	}
	k, err := events.ParseKey(key[at+1:])
	return k.Host, err == nil
}

// seesKey reports whether a scope selects events with a key. A key without a host belongs to everything only.
func seesKey(scope access.Scope, key string) bool {
	host, known := hostInKey(key)
	return scope.IsWhole() || known && host != "" && scope.HasWholeHost(host)
}

// seesEvent reports whether a scope selects an event. A damaged event may be of any host.
func seesEvent(scope access.Scope, ev *events.Event) bool {
	return scope.IsWhole() || ev.Damage == nil && scope.HasWholeHost(ev.Host)
}

// matchesEvent reports whether an event is wanted. A damaged event has a host at most.
func (s *scan) matchesEvent(ev *events.Event) bool {
	q := &s.q
	switch {
	case q.Damaged && ev.Damage == nil,
		!seesEvent(s.scope, ev),
		!s.filter.Host(ev.Host),
		len(q.Uploads) > 0 && !slices.Contains(q.Uploads, ev.Upload):
		return false
	}
	return len(q.GPUs) == 0 && len(q.Metrics) == 0 || s.filter.Any(ev)
}
