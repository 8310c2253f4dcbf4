package projections

import "telemetry-pipeline/events"

// Host is what a collector keeps in memory of one host.
type Host struct {
	ID       events.HostID
	Live     Live
	Identity Identity
}

// Effect is what folding one event did to a host and what it adds to the host's history.
type Effect struct {
	Live     bool // Host.Live changed
	Identity bool // Host.Identity changed
	// Fresh are records newer than anything folded before in their series: no chunk can hold them yet. Late are
	// the others, which the window's chunks may hold already. Neither holds implausible readings.
	Fresh, Late map[Window]Series
}

// Apply folds an event of this host. Folding an event again changes nothing (all its records are then Late).
func (h *Host) Apply(ev *events.Event) Effect { panic("contract") }

// Check tells which invariant of the models is broken, nil when none is (sorted, unique, references resolve, windows disjoint).
func (h *Host) Check() error { panic("contract") }
