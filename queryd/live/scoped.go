package live

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
)

const (
	maxScopes    = 64               // scopes that are served at once, beside the whole one
	scopeTimeout = 10 * time.Minute // how long the feed of a scope is kept after its last use
)

// servedFeed is a feed and the view behind it.
type servedFeed struct {
	*Feed
	view *view
	used time.Time // the last time that it was asked for
}

// servedFeeds is the feed of everything, and the feeds of narrower scopes. They are at one position: every batch is applied to
// all of them, and each view selects its part of the batch.
type servedFeeds struct {
	mu    sync.Mutex // taken before Feed.mu
	whole servedFeed
	parts map[string]*servedFeed // by scope
	ended bool
}

// In returns the feed of a scope. Equal scopes share one. It is complete from the first answer on, if the hub is ready. A feed
// without subscribers ends some time after its last use (scopeTimeout), or when another scope needs its place, so callers ask
// for it again and do not keep it, except in subscriptions. The error is ErrTooManyScopes, while as many feeds have
// subscribers; the scope that selects nothing always has a feed.
func (h *Hub) In(scope access.Scope) (*Feed, error) {
	if scope.IsWhole() {
		return h.Feed, nil
	}
	s, key := &h.served, scope.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if part := s.parts[key]; part != nil {
		part.used = now
		return part.Feed, nil
	}
	if len(s.parts) >= maxScopes && !s.removeLeastRecent() && !scope.IsEmpty() {
		return nil, ErrTooManyScopes
	}
	part := &servedFeed{view: s.whole.view.within(scope), used: now}
	part.Feed = newFeed(h.cfg, h.facts, part.view.state)
	part.metrics, part.checkRequested = h.metrics, h.checkRequested
	part.degraded = func() error {
		if h.Degraded() != nil {
			return ErrBehind
		}
		return nil
	}
	if s.ended {
		part.endSubscriptions()
	}
	s.parts[key] = part
	return part.Feed, nil
}

// each calls do with every feed, the whole one first. The caller holds the lock.
func (s *servedFeeds) each(do func(*servedFeed)) {
	do(&s.whole)
	for _, f := range s.parts {
		do(f)
	}
}

// advance applies a step to every view, and publishes the changes.
func (s *servedFeeds) advance(step func(*view) *change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(func(f *servedFeed) {
		if on := f.view.whole; on != nil && on != s.whole.view { // which is only this view's
			step(on)
		}
		c := step(f.view)
		f.publishState(f.view.state, c, false)
		if f == &s.whole {
			f.countChange(c)
		}
	})
}

// replace makes next the successor of the view of everything, and its parts the successors of the other views. It returns
// the change of everything.
func (s *servedFeeds) replace(next *view, begins bool, now time.Time) *change {
	s.mu.Lock()
	defer s.mu.Unlock()
	whole := s.whole.replace(next, begins, now)
	s.whole.countChange(whole)
	for _, f := range s.parts {
		f.replace(next.within(f.view.scope), begins, now)
	}
	return whole
}

// replace makes next the successor of the feed's view, and publishes the difference.
func (f *servedFeed) replace(next *view, begins bool, now time.Time) *change {
	c := next.continueFrom(f.view.state, now)
	f.view = next
	f.publishState(next.state, c, begins)
	return c
}

// countChange counts a change unless it is empty.
func (f *servedFeed) countChange(c *change) {
	if !c.isEmpty() {
		f.metrics.changes.Inc()
	}
}

// publishDue publishes to the groups that are due, and returns the time of the next one (zero: no group waits).
func (s *servedFeeds) publishDue(now time.Time) (next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(func(f *servedFeed) {
		if due := f.publishDueGroups(now); next.IsZero() || !due.IsZero() && due.Before(next) {
			next = due
		}
	})
	return next
}

// beat sends the heartbeats that are due, and removes feeds that are no longer used.
func (s *servedFeeds) beat(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeUnused(now)
	s.each(func(f *servedFeed) { f.sendHeartbeats(now) })
}

// removeUnused ends and removes the feeds that were not used for a while. The caller holds the lock.
func (s *servedFeeds) removeUnused(now time.Time) {
	for key, f := range s.parts {
		if f.isUnused() {
			if now.Sub(f.used) > scopeTimeout {
				f.endSubscriptions()
				delete(s.parts, key)
			}
		} else {
			f.used = now
		}
	}
}

// removeLeastRecent ends and removes the feed without subscribers that was asked for least recently, and reports whether there was
// one. The caller holds the lock.
func (s *servedFeeds) removeLeastRecent() bool {
	var oldest *servedFeed
	for _, f := range s.parts {
		if f.isUnused() && (oldest == nil || f.used.Before(oldest.used)) {
			oldest = f
		}
	}
	if oldest == nil {
		return false
	}
	oldest.endSubscriptions()
	delete(s.parts, oldest.view.scope.String())
	return true
}

// end ends every feed.
func (s *servedFeeds) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.each(func(f *servedFeed) { f.endSubscriptions() })
}

// within returns the part of a view that a scope selects, at the same position.
func (v *view) within(scope access.Scope) *view {
	part := newView(v.facts, v.state.generation, scope)
	maps.Copy(part.caughtUpTo, v.caughtUpTo)
	b := projections.Batch{At: v.state.at, Offsets: v.offsets, Unreadable: v.state.unreadable}
	if scope.ByNamespace() {
		part.whole = v
		if hosts := scope.OfHosts(); !hosts.IsWhole() {
			part.whole = v.within(hosts)
		}
		b.Hosts = part.whole.hostsInNamespaces(scope, maps.Keys(part.whole.models))
		b.Unreadable = nil
	} else {
		for id, m := range v.models {
			b.Hosts = append(b.Hosts, projections.Stored{Host: id, Partition: m.partition, Live: &m.stored, Identity: &m.Identity})
		}
		b = part.selectVisible(b)
	}
	part.applyVisible(b, v.state.asOf)
	if v.state.isLoaded() {
		part.state.generationSwitches = []int64{part.state.at.Number}
	}
	return part
}

// selectVisible returns the part of a batch that the view's scope selects, with its positions. For a scope by namespace the
// batch was applied to the view of its hosts before.
func (v *view) selectVisible(b projections.Batch) projections.Batch {
	if v.scope.IsWhole() {
		return b
	}
	part := projections.Batch{At: b.At, Offsets: b.Offsets, Trace: b.Trace}
	if v.scope.ByNamespace() {
		if v.whole != nil {
			part.Hosts = v.whole.hostsInNamespaces(v.scope, maps.Keys(v.whole.changed))
		}
		return part
	}
	for i := range b.Hosts {
		if v.scope.HasHost(b.Hosts[i].Host) {
			part.Hosts = append(part.Hosts, b.Hosts[i])
		}
	}
	for _, u := range b.Unreadable {
		if u.Host != "" && v.scope.HasHost(u.Host) {
			part.Unreadable = append(part.Unreadable, u)
		}
	}
	return part
}

// hostsInNamespaces returns the parts of hosts that the namespaces of a scope select; a host without such a part is removed.
func (v *view) hostsInNamespaces(scope access.Scope, ids iter.Seq[events.HostID]) (all []projections.Stored) {
	for _, id := range slices.Sorted(ids) {
		if !scope.HasHost(id) {
			continue
		}
		s := projections.Stored{Host: id, Removed: true}
		if m := v.models[id]; m != nil {
			if part, ok := m.InNamespaces(m.names, scope.HasNamespace); ok {
				s = projections.Stored{Host: id, Partition: m.partition, Live: &part.Live, Identity: &part.Identity}
			}
		}
		all = append(all, s)
	}
	return all
}
