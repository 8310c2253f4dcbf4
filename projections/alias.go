package projections

import (
	"cmp"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// Names resolves the names that the records of one host give its GPUs. A record without a UUID names its GPU by index or
// PCI address; where other records give that index or address to a GPU with a UUID, it is that GPU, but for the time when
// that GPU was on another host (WithAway). Names is a function of records alone, in any order. A nil Names resolves each name to
// itself.
type Names struct {
	owners  map[events.GPUID][]claim // by name: the GPUs with a UUID that had it
	pcis    map[events.GPUID][]claim // by "host:index" without a UUID: the "host:pci-address" that it had
	indices map[events.GPUID][]claim // the reverse
	away    map[events.GPUID][]Span  // by GPU with a UUID: when it was on another host (Away)
}

// claim is a run of windows in which a GPU had a name.
type claim struct {
	gpu   events.GPUID
	first events.Timestamp
	last  Window
}

// Names returns the host's names, nil when no record names a GPU without its UUID, or none has one to resolve to.
func (id *Identity) Names(host events.HostID) *Names {
	prefix := string(host) + ":"
	if !slices.ContainsFunc(id.GPUs, func(k KnownGPU) bool { return strings.HasPrefix(string(k.Name), prefix) }) {
		return nil
	}
	n := &Names{owners: map[events.GPUID][]claim{}, pcis: map[events.GPUID][]claim{}, indices: map[events.GPUID][]claim{}}
	for i := range id.GPUs {
		k := &id.GPUs[i]
		rest, alias := strings.CutPrefix(string(k.Name), prefix)
		for _, r := range k.Runs {
			name := events.GPUID(prefix + r.Value)
			switch {
			case k.Name == "" || r.Field != FieldIndex && r.Field != FieldPCI:
			case !alias:
				n.owners[name] = append(n.owners[name], claim{k.Name, r.First, r.Last})
			case r.Field == FieldPCI && rest != r.Value:
				n.pcis[k.Name] = append(n.pcis[k.Name], claim{name, r.First, r.Last})
				n.indices[name] = append(n.indices[name], claim{k.Name, r.First, r.Last})
			}
		}
	}
	if len(n.owners)+len(n.pcis) == 0 {
		return nil
	}
	return n
}

// WithAway returns the names with the times in which GPUs with a UUID were on another host (Away). Names is not changed.
func (n *Names) WithAway(away map[events.GPUID][]Span) *Names {
	if n == nil || len(n.away)+len(away) == 0 {
		return n
	}
	return &Names{owners: n.owners, pcis: n.pcis, indices: n.indices, away: away}
}

// Away returns the times given to WithAway.
func (n *Names) Away() map[events.GPUID][]Span {
	if n == nil {
		return nil
	}
	return n.away
}

// Resolve returns the GPU that had a name at an instant: the owner of the run of windows that holds the instant, of
// several of the one that began last; outside of all runs the last owner before, else the first one after. A name that
// nobody owned is a GPU of its own.
func (n *Names) Resolve(name events.GPUID, at events.Timestamp) events.GPUID {
	if n == nil {
		return name
	}
	if owner, ok := n.ownerAt(name, at); ok {
		return owner
	}
	if pci := claimAt(n.pcis[name], at); pci != nil {
		if owner, ok := n.ownerAt(pci.gpu, at); ok {
			return owner
		}
		return name
	}
	if index := claimAt(n.indices[name], at); index != nil {
		if owner, ok := n.ownerAt(index.gpu, at); ok {
			return owner
		}
		return index.gpu
	}
	return name
}

// ownerAt returns the GPU with a UUID that had a name at an instant; ok is false when none had it ever, or when it was on another
// host then.
func (n *Names) ownerAt(name events.GPUID, at events.Timestamp) (gpu events.GPUID, ok bool) {
	c := claimAt(n.owners[name], at)
	if c == nil || slices.ContainsFunc(n.away[c.gpu], func(s Span) bool { return s.From <= at && at <= s.To }) {
		return "", false
	}
	return c.gpu, true
}

// claimAt returns the claim that holds at an instant, nil when there is none at all.
func claimAt(claims []claim, at events.Timestamp) *claim {
	w := WindowOf(at)
	var best *claim
	for i := range claims {
		if c := &claims[i]; best == nil || c.isCloser(best, at, w) {
			best = c
		}
	}
	return best
}

// isCloser reports whether c holds at an instant of window w rather than d.
func (c *claim) isCloser(d *claim, at events.Timestamp, w Window) bool {
	begun, other := c.first <= at, d.first <= at
	switch {
	case begun != other:
		return begun
	case begun:
		return cmp.Or(cmp.Compare(min(c.last, w), min(d.last, w)), cmp.Compare(c.first, d.first), strings.Compare(string(c.gpu), string(d.gpu))) > 0
	}
	return cmp.Or(cmp.Compare(c.first, d.first), strings.Compare(string(c.gpu), string(d.gpu))) < 0
}

// until returns an instant behind at before which Resolve has the same answer for a name.
func (n *Names) until(name events.GPUID, at events.Timestamp) events.Timestamp {
	end := maxTime
	n.eachClaim(name, func(c claim) {
		if c.first > at {
			end = min(end, c.first)
		}
		if over := (c.last + 1).Start(); over > at {
			end = min(end, over)
		}
		for _, s := range n.away[c.gpu] {
			if s.From > at {
				end = min(end, s.From)
			} else if s.To >= at && s.To < maxTime {
				end = min(end, s.To+1)
			}
		}
	})
	return end
}

// Keeps reports whether a name is of the same GPU through a window.
func (n *Names) Keeps(name events.GPUID, w Window) bool {
	return n == nil || n.until(name, w.Start()) >= (w+1).Start()
}

// eachClaim calls f with each claim that may matter to a name.
func (n *Names) eachClaim(name events.GPUID, f func(claim)) {
	each := func(claims []claim) {
		for _, c := range claims {
			f(c)
		}
	}
	each(n.owners[name])
	for _, links := range [...][]claim{n.pcis[name], n.indices[name]} {
		each(links)
		for _, c := range links {
			each(n.owners[c.gpu])
		}
	}
}

// MayBe returns the names that resolve to a GPU at some time, its own first.
func (n *Names) MayBe(gpu events.GPUID, known *Identity) []events.GPUID {
	names := []events.GPUID{gpu}
	if n == nil {
		return names
	}
	for i := range known.GPUs {
		name, is := known.GPUs[i].Name, false
		n.eachClaim(name, func(c claim) { is = is || c.gpu == gpu })
		if is && name != gpu {
			names = append(names, name)
		}
	}
	return names
}
