package projections

import (
	"iter"

	"telemetry-pipeline/events"
)

// Host is what a collector keeps in memory of one host. The zero Host takes its ID from its first event.
//
// The models' slices are never changed in place: Apply replaces what it changes. So a copy of the Live or
// Identity value (l := h.Live; a slice header) stays as it is while the owner folds on, and may be read elsewhere. A pointer into
// the Host (&h.Live) may not.
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

// Fragments gives what the host knows of each of its GPUs, by GPU.
func (h *Host) Fragments() iter.Seq2[events.GPUID, Fragment] { panic("contract") }

// FirstSeen and LastSeen are the host's earliest and newest record times; ok is false for a host without records.
func (h *Host) FirstSeen() (at events.Timestamp, ok bool) { panic("contract") }
func (h *Host) LastSeen() (at events.Timestamp, ok bool)  { panic("contract") }
