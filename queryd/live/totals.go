package live

import (
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// fleetTotals sums up the GPUs and hosts of a State, so that an answer need not visit them. It is made from the totals of the
// previous State by the hosts that changed. Immutable; the zero value is of no hosts.
type fleetTotals struct {
	sums         projections.Sums             // of the counted GPUs: each once (projections.Distinct)
	missing      int                          // counted GPUs that fell behind their host
	seen         sortedList[*projections.GPU] // the other counted GPUs, by orderSeen
	temperatures sortedList[valueCount]       // of the counted GPUs, by orderValue
	models       []NameCount
	drivers      []NameCount
	shared       sortedList[*projections.GPU] // the GPUs that several hosts report, by orderShared: the first of each UUID is counted
	hosts        sortedList[*Host]            // the shown hosts, by orderHostSeen
}

// NameCount is the number of GPUs with a model or driver version.
type NameCount struct {
	Name string
	GPUs int // each GPU counted once, as in Totals
	All  int // with the GPUs that another host reports too
}

// valueCount is the number of GPUs with a value.
type valueCount struct {
	value float64
	count int
}

// CountHosts returns the number of hosts with readings.
func (s *State) CountHosts() int { return s.shown.length }

// CountGPUs returns the number of GPUs, where one that several hosts report counts for each of them.
func (s *State) CountGPUs() int { return s.gpus.length }

// Totals returns the totals of all GPUs at now: projections.Sum of them.
func (s *State) Totals(now events.Timestamp) (t projections.Totals) {
	f := &s.totals
	f.sums.SetTotals(&t)
	t.Missing = f.missing
	t.Stale = countWhile(f.seen, func(g *projections.GPU) bool { return isStale(g.LastSeen, now) })
	t.Active = f.seen.length - t.Stale
	hottest := math.Inf(-1)
	if n := len(f.temperatures.chunks); n > 0 {
		last := f.temperatures.chunks[n-1]
		hottest = last[len(last)-1].value
	}
	t.SetTemperatureMax(hottest)
	return t
}

// HostStatuses returns the number of active and stale hosts at now.
func (s *State) HostStatuses(now events.Timestamp) (active, stale int) {
	stale = countWhile(s.totals.hosts, func(h *Host) bool { return isStale(h.LastSeen, now) })
	return s.totals.hosts.length - stale, stale
}

func isStale(last, now events.Timestamp) bool {
	return projections.StatusOf(last, last, now) == projections.Stale
}

// Models returns the number of GPUs of each model, sorted by name. GPUs without a model are not in it.
func (s *State) Models() []NameCount { return s.totals.models }

// Drivers returns the number of GPUs of each driver version, sorted by name. GPUs without one are not in it.
func (s *State) Drivers() []NameCount { return s.totals.drivers }

// HostSeen returns the newest record time of a host with readings, else 0.
func (s *State) HostSeen(id events.HostID) events.Timestamp {
	if h, ok := s.findHost(id); ok && h.isShown() {
		return h.LastSeen
	}
	return 0
}
