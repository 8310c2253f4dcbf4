package rest

import (
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// parseExplain makes the query count its work if the parameter explain asks for it.
func (p params) parseExplain(q *history.Query) error {
	switch text, given := p.singleValue("explain"); {
	case !given || text == "false":
	case text == "true":
		q.Plan = new(history.Plan)
	default:
		return badParameter("explain", text, "true or false")
	}
	return nil
}

// checkExplain refuses a form of the answer that has no place for what it took.
func checkExplain(q *history.Query, f form) error {
	if q.Plan != nil && f != asJSON {
		return badParameter("explain", "true", "the form json beside it: csv and ndjson have no member explain")
	}
	return nil
}

// writePlan writes the member explain, if the query counted its work. Hosts, windows and chunks have records of
// all namespaces, and objects of the archive of many hosts: their numbers are for views that have all of these.
func (w *writer) writePlan(p *history.Plan, s *live.State) {
	if p == nil {
		return
	}
	w.Key("explain")
	w.Open('{')
	var members []planMember
	if !s.Scope().ByNamespace() {
		members = append([]planMember{{"hosts", p.Hosts.Load()}}, windowMembers(p)...)
	}
	if s.Scope().IsWhole() {
		members = append(members, objectMembers(p)...)
	}
	for _, member := range members {
		w.Whole(member.name, member.count)
	}
	w.Close('}')
}

// windowMembers returns the numbers of the windows and chunks that were read.
func windowMembers(p *history.Plan) []planMember {
	return []planMember{
		{"windows_from_rollups", p.Rolled.Load()},
		{"windows_with_repeated_rollups", p.Repeated.Load()},
		{"windows_from_records", p.Recorded.Load()},
		{"windows_in_etcd", p.Stored.Load()},
		{"chunks", p.Chunks.Load()},
	}
}

// planMember is a number in the member explain.
type planMember struct {
	name  string
	count int64
}

// objectMembers returns the numbers of the archive objects that were read.
func objectMembers(p *history.Plan) []planMember {
	return []planMember{
		{"objects_read", p.Archive.Objects.Load()},
		{"bytes_read", p.Archive.Bytes.Load()},
		{"blocks_decoded", p.Archive.Blocks.Load()},
		{"blocks_cached", p.Archive.Cached.Load()},
		{"pages_decoded", p.Archive.Pages.Load()},
	}
}
