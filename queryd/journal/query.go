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
	return scope.IsWhole() || known && host != "" && scope.HasHost(host)
}

// cutVisible reports whether a scope selects any record of an event, and leaves only these in it. A damaged event may be of any
// host.
func cutVisible(scope access.Scope, ev *events.Event) bool {
	if scope.IsWhole() {
		return true
	}
	if ev.Damage != nil || !scope.HasHost(ev.Host) {
		return false
	}
	if join, joined := ev.Join(); joined && !scope.HasHost(join.Node) { // it names another host
		return false
	}
	if scope.ByNamespace() {
		cutNamespaces(scope, ev)
		return len(ev.Columns) > 0
	}
	return true
}

// cutNamespaces leaves in an event only the records whose identities name a namespace of the scope, and these identities.
func cutNamespaces(scope access.Scope, ev *events.Event) {
	place := make(map[int]int) // of the identities that stay
	var identities []events.Identity
	for i := range ev.Identities {
		if id := &ev.Identities[i]; id.Namespace != "" && scope.HasNamespace(id.Namespace) {
			place[i], identities = len(identities), append(identities, *id)
		}
	}
	var columns []events.Column
	for _, c := range ev.Columns {
		if at, stays := place[int(c.Identity)]; stays {
			c.Identity = at
			columns = append(columns, c)
		}
	}
	ev.Identities, ev.Columns = identities, columns
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
