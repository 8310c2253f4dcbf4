package simulation

import (
	"encoding/json"
	"maps"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"telemetry-pipeline/events/eventstest/model"
)

// writes looks at each transaction as it is accepted: fencing (P4), and offsets that only grow (P7).
type writes struct {
	w *world

	mu      sync.Mutex
	tokens  map[string]int64 // by generation and partition: the newest token under which something was written
	offsets map[string]offset
	owners  map[string]string // by key: the process that claimed it
	retired map[string]bool   // generations that must not be written any more
	history []model.Commit    // those that wrote projections or offsets
}

func newWrites(w *world) *writes {
	return &writes{w: w, tokens: map[string]int64{}, offsets: map[string]offset{}, owners: map[string]string{}, retired: map[string]bool{}}
}

func (s *writes) see(c model.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	relevant := false
	s.retire(c)
	for _, ev := range c.Events {
		key := string(ev.Kv.Key)
		if strings.HasPrefix(key, s.w.base.Prefix("owners")) {
			s.own(key, c.Client, ev)
		}
		slot, isOffset := s.slot(key)
		if slot == "" {
			continue
		}
		relevant = true
		if g, _, _ := strings.Cut(slot, "/"); s.retired[g] {
			if ev.Type == mvccpb.Event_PUT {
				s.w.broken("P4: %s wrote %s at %d after its generation was retired", c.Client, key, c.Revision)
			}
			continue
		}
		token, guarded := s.token(slot, c.Compares)
		switch {
		case !guarded:
			s.w.broken("P4: %s wrote %s at %d without proof that it owns %s", c.Client, key, c.Revision, slot)
		case token < s.tokens[slot]:
			s.w.broken("P4: %s wrote %s at %d under token %d, after somebody else did under %d", c.Client, key, c.Revision, token, s.tokens[slot])
		}
		s.tokens[slot] = max(s.tokens[slot], token)
		if isOffset {
			s.move(slot, ev.Kv)
		}
	}
	if relevant {
		s.history = append(s.history, c)
	}
}

// retire notes which generations a transaction retires: it removes their owners, and none claims them after it.
func (s *writes) retire(c model.Commit) {
	for _, ev := range c.Events {
		g, isRecord := strings.CutPrefix(string(ev.Kv.Key), s.w.base.Prefix("generations"))
		var record struct{ State string }
		if !isRecord || ev.Type != mvccpb.Event_PUT || json.Unmarshal(ev.Kv.Value, &record) != nil || record.State != "retired" {
			continue
		}
		s.retired[g] = true
		maps.DeleteFunc(s.owners, func(key, _ string) bool { return strings.HasPrefix(key, s.w.base.Prefix("owners", g)) })
	}
}

// own looks at a change of an owner key: only its owner, the end of its lease, or of its generation, takes it away.
func (s *writes) own(key, client string, ev *mvccpb.Event) {
	before, owned := s.owners[key]
	g, _, _ := strings.Cut(strings.TrimPrefix(key, s.w.base.Prefix("owners")), "/")
	switch {
	case s.retired[g] && ev.Type == mvccpb.Event_PUT:
		s.w.broken("P4: %s claimed %s, whose generation is retired", client, key)
		return
	case s.retired[g]:
		return
	}
	if ev.Type == mvccpb.Event_PUT {
		if owned {
			s.w.broken("P4: %s took %s over from %s, who had it", client, key, before)
		}
		s.owners[key] = client
		return
	}
	if client != "" && memberOf(client) != memberOf(before) {
		s.w.broken("P4: %s took %s away from %s", client, key, before)
	}
	delete(s.owners, key)
}

// memberOf returns which member a process is: one that was started again is the same.
func memberOf(client string) string { return strings.TrimRight(client, "'") }

// slot returns to which generation and partition a projection or an offset belongs, "g/007"; "" for other keys.
func (s *writes) slot(key string) (slot string, isOffset bool) {
	if rest, ok := strings.CutPrefix(key, s.w.base.Prefix("offsets")); ok {
		return rest, true
	}
	rest, ok := strings.CutPrefix(key, s.w.base.Prefix("projections"))
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 4 {
		return "", false
	}
	return parts[0] + "/" + parts[2], false
}

// token returns the token that a transaction proved to hold.
func (s *writes) token(slot string, compares []*pb.Compare) (int64, bool) {
	for _, c := range compares {
		if string(c.Key) == s.w.base.Prefix("owners")+slot && c.Target == pb.Compare_CREATE && c.Result == pb.Compare_EQUAL && c.GetCreateRevision() > 0 {
			return c.GetCreateRevision(), true
		}
	}
	return 0, false
}

func (s *writes) move(slot string, kv *mvccpb.KeyValue) {
	var now offset
	if err := json.Unmarshal(kv.Value, &now); err != nil {
		s.w.broken("offsets of %s are %q: %v", slot, kv.Value, err)
		return
	}
	if was := s.offsets[slot]; now.Live < was.Live || now.Series < was.Series {
		s.w.broken("P7: offsets of %s went from %+v back to %+v", slot, was, now)
	}
	s.offsets[slot] = now
}
