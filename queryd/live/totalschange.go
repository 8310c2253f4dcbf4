package live

import (
	"cmp"
	"slices"
	"strings"

	"telemetry-pipeline/projections"
)

// updateTotals sets the totals of next, which has the hosts of fresh in the place of the hosts of gone, which are in prev.
func updateTotals(prev, next *State, gone, fresh []*Host) {
	c := totalsChange{before: &prev.totals, after: &next.totals}
	c.gone.addHosts(gone)
	c.fresh.addHosts(fresh)
	c.updateShared()
	c.updateCounts()
	goneSeen, wasMissing := splitMissing(prev, c.gone.counted)
	freshSeen, isMissing := splitMissing(next, c.fresh.counted)
	c.after.missing = c.before.missing - wasMissing + isMissing
	c.after.seen = c.before.seen.splice(goneSeen, freshSeen, orderSeen)
	c.after.hosts = c.before.hosts.splice(shownBySeen(gone), shownBySeen(fresh), orderHostSeen)
}

// totalsChange derives totals from the totals before.
type totalsChange struct {
	before, after *fleetTotals
	gone, fresh   countedGPUs
}

// countedGPUs holds GPUs on one side of a change.
type countedGPUs struct {
	counted []*projections.GPU // in the totals
	shared  []*projections.GPU // reported by several hosts, counted or not
}

// addHosts adds the GPUs of hosts.
func (c *countedGPUs) addHosts(hosts []*Host) {
	for _, h := range hosts {
		for _, g := range h.GPUs {
			if len(g.Conflict) > 0 {
				c.shared = append(c.shared, g)
			} else {
				c.counted = append(c.counted, g)
			}
		}
	}
}

// updateShared updates the GPUs that several hosts report. Of each UUID that changes, the GPU that counted before and the GPU
// that counts now are part of the change.
func (c *totalsChange) updateShared() {
	c.after.shared = c.before.shared.splice(sortedBy(c.gone.shared, orderShared), sortedBy(c.fresh.shared, orderShared), orderShared)
	visited := map[string]bool{}
	for _, g := range slices.Concat(c.gone.shared, c.fresh.shared) {
		uuid := g.Identity.UUID
		if visited[uuid] {
			continue
		}
		visited[uuid] = true
		c.gone.addFirst(c.before.shared, uuid)
		c.fresh.addFirst(c.after.shared, uuid)
	}
}

// addFirst adds the shared GPU of a UUID that counts, if there is one.
func (c *countedGPUs) addFirst(shared sortedList[*projections.GPU], uuid string) {
	g, ok := firstNotBefore(shared, func(g *projections.GPU) bool { return g.Identity.UUID < uuid })
	if ok && g.Identity.UUID == uuid {
		c.counted = append(c.counted, g)
	}
}

// updateCounts updates the totals that do not depend on times.
func (c *totalsChange) updateCounts() {
	c.after.sums = c.before.sums.Clone()
	d := countsChange{temperatures: map[float64]int{}, models: map[string]NameCount{}, drivers: map[string]NameCount{}}
	for _, g := range c.gone.counted {
		c.after.sums.Remove(g)
	}
	for _, g := range c.fresh.counted {
		c.after.sums.Add(g)
	}
	d.addGPUs(&c.gone, -1)
	d.addGPUs(&c.fresh, 1)
	c.after.temperatures = addTemperatures(c.before.temperatures, d.temperatures)
	c.after.models, c.after.drivers = addNames(c.before.models, d.models), addNames(c.before.drivers, d.drivers)
}

// countsChange holds differences of counts.
type countsChange struct {
	temperatures    map[float64]int
	models, drivers map[string]NameCount // differences by name
}

// addGPUs adds n for each GPU.
func (d *countsChange) addGPUs(c *countedGPUs, n int) {
	for _, g := range c.counted {
		if degrees, ok := g.Temperature(); ok {
			d.temperatures[degrees] += n
		}
		if len(g.Conflict) > 0 {
			d.addName(g, NameCount{GPUs: n}) // shared has it too
		} else {
			d.addName(g, NameCount{GPUs: n, All: n})
		}
	}
	for _, g := range c.shared {
		d.addName(g, NameCount{All: n})
	}
}

func (d *countsChange) addName(g *projections.GPU, n NameCount) {
	if name := g.Identity.Model; name != "" {
		d.models[name] = d.models[name].plus(n)
	}
	if name := g.Identity.Driver; name != "" {
		d.drivers[name] = d.drivers[name].plus(n)
	}
}

func (n NameCount) plus(m NameCount) NameCount {
	return NameCount{n.Name, n.GPUs + m.GPUs, n.All + m.All}
}

// addTemperatures returns the counts with differences by value.
func addTemperatures(counts sortedList[valueCount], differences map[float64]int) sortedList[valueCount] {
	var gone, fresh []valueCount
	for value, n := range differences {
		if n == 0 {
			continue
		}
		next := valueCount{value, n}
		if old, ok := findIn(counts, value, func(c valueCount, value float64) int { return cmp.Compare(c.value, value) }); ok {
			gone = append(gone, old)
			next.count += old.count
		}
		if next.count != 0 {
			fresh = append(fresh, next)
		}
	}
	return counts.splice(sortedBy(gone, orderValue), sortedBy(fresh, orderValue), orderValue)
}

// addNames returns the counts with differences by name.
func addNames(counts []NameCount, differences map[string]NameCount) []NameCount {
	shared := true
	for name, n := range differences {
		if n.GPUs == 0 && n.All == 0 {
			continue
		}
		if shared {
			counts, shared = slices.Clone(counts), false
		}
		at, found := slices.BinarySearchFunc(counts, name, func(c NameCount, name string) int { return strings.Compare(c.Name, name) })
		if !found {
			counts = slices.Insert(counts, at, NameCount{Name: name})
		}
		if counts[at] = counts[at].plus(n); counts[at].All == 0 {
			counts = slices.Delete(counts, at, at+1)
		}
	}
	return counts
}

// splitMissing returns the GPUs of s that are not missing, sorted by orderSeen, and the number of those that are.
func splitMissing(s *State, gpus []*projections.GPU) (seen []*projections.GPU, missing int) {
	for _, g := range gpus {
		if projections.StatusOf(g.LastSeen, s.HostSeen(g.Host), g.LastSeen) == projections.Missing {
			missing++
		} else {
			seen = append(seen, g)
		}
	}
	return sortedBy(seen, orderSeen), missing
}

// shownBySeen returns the shown ones of hosts, sorted by orderHostSeen.
func shownBySeen(hosts []*Host) []*Host {
	hidden := func(h *Host) bool { return !h.isShown() }
	return sortedBy(slices.DeleteFunc(slices.Clone(hosts), hidden), orderHostSeen)
}

// sortedBy sorts a list, and returns it.
func sortedBy[T any](list []T, order func(a, b T) int) []T {
	slices.SortFunc(list, order)
	return list
}

func orderSeen(a, b *projections.GPU) int {
	if c := cmp.Compare(a.LastSeen, b.LastSeen); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID, b.ID))
}

func orderHostSeen(a, b *Host) int {
	if c := cmp.Compare(a.LastSeen, b.LastSeen); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

func orderValue(a, b valueCount) int { return cmp.Compare(a.value, b.value) }

// orderShared puts the GPU that projections.Distinct yields first of the GPUs with a UUID.
func orderShared(a, b *projections.GPU) int {
	if c := strings.Compare(a.Identity.UUID, b.Identity.UUID); c != 0 {
		return c
	}
	if own := string(a.ID) == a.Identity.UUID; own != (string(b.ID) == b.Identity.UUID) {
		if own {
			return -1
		}
		return 1
	}
	return orderGPU(a, b)
}
