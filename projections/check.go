package projections

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"telemetry-pipeline/events"
)

// Check returns an error that names the first broken invariant of the models, nil when all hold: lists are sorted and
// without repeats, readings are plausible and no newer than their entity, each entity's GPU is known, runs and windows are
// disjoint, and windows contain every time of the models.
func (h *Host) Check() error {
	if err := h.Identity.checkKnown(); err != nil {
		return fmt.Errorf("checking host %q: %w", h.ID, err)
	}
	if !isStrictlyAscending(h.Live.Entities, func(a, b *LiveEntity) int { return a.Entity.Compare(b.Entity) }) {
		return fmt.Errorf("checking host %q: entities are not in order", h.ID)
	}
	for i := range h.Live.Entities {
		if err := h.checkEntity(&h.Live.Entities[i]); err != nil {
			return fmt.Errorf("checking host %q: entity %v: %w", h.ID, h.Live.Entities[i].Entity, err)
		}
	}
	return nil
}

func (h *Host) checkEntity(e *LiveEntity) error {
	k, ok := h.Identity.Find(e.Entity.GPU)
	switch {
	case len(e.Latest)+len(e.Ahead) == 0:
		return errors.New("has no readings")
	case !isStrictlyAscending(e.Latest, func(a, b *Latest) int { return strings.Compare(a.Metric, b.Metric) }):
		return errors.New("metrics are not in order")
	case len(e.Latest) > 0 && newestLatest(e.Latest) != e.SeenAt || len(e.Latest) == 0 && e.SeenAt != 0:
		return fmt.Errorf("seen at %v, but that is not the time of the newest reading", e.SeenAt)
	case !isStrictlyAscending(e.Said, func(a, b *Said) int { return cmp.Compare(a.Field, b.Field) }):
		return errors.New("fields are not in order")
	case !ok:
		return errors.New("its GPU is not known")
	case e.SeenAt != 0 && k.FirstSeen > e.SeenAt:
		return fmt.Errorf("seen at %v, but its GPU first at %v", e.SeenAt, k.FirstSeen)
	}
	if err := h.checkAhead(e); err != nil {
		return err
	}
	for i := range e.Latest {
		if err := h.checkLatest(&e.Latest[i]); err != nil {
			return fmt.Errorf("metric %s: %w", e.Latest[i].Metric, err)
		}
	}
	return nil
}

func (h *Host) checkAhead(e *LiveEntity) error {
	if !isStrictlyAscending(e.Ahead, func(a, b *Latest) int { return cmp.Or(strings.Compare(a.Metric, b.Metric), cmp.Compare(a.At, b.At)) }) {
		return errors.New("readings ahead are not in order")
	}
	for i := range e.Ahead {
		a := &e.Ahead[i]
		if err := h.checkLatest(a); err != nil {
			return fmt.Errorf("metric %s, ahead: %w", a.Metric, err)
		}
		if l, ok := Find(e.Latest, a.Metric); ok && l.At >= a.At {
			return fmt.Errorf("metric %s: the reading of %v is not ahead of the latest of %v", a.Metric, a.At, l.At)
		}
	}
	return nil
}

func (h *Host) checkLatest(l *Latest) error {
	v := l.Value
	switch {
	case v.Absent == events.Implausible:
		return errors.New("implausible reading is the latest")
	case v.Absent == events.Present && v.Raw != "":
		return errors.New("present reading with the text of an absent one")
	case v.Absent != events.Present && v.Number != events.Number{}:
		return errors.New("absent reading with a number")
	case v.Number != events.NumberOf(v.Number.Mantissa, v.Number.Exponent):
		return fmt.Errorf("number %v is not normalised", v.Number)
	case !h.Identity.Holds(WindowOf(l.At)):
		return fmt.Errorf("reading of %v is in no known window", l.At)
	}
	return nil
}

func (id *Identity) checkKnown() error {
	if !isStrictlyAscending(id.GPUs, func(a, b *KnownGPU) int { return strings.Compare(string(a.Name), string(b.Name)) }) {
		return errors.New("GPUs are not in order")
	}
	for i := range id.GPUs {
		k := &id.GPUs[i]
		if err := k.checkLists(); err != nil {
			return fmt.Errorf("GPU %q: %w", k.Name, err)
		}
		if !holds(k.Windows, WindowOf(k.FirstSeen)) {
			return fmt.Errorf("GPU %q was first seen at %v, in no window of it", k.Name, k.FirstSeen)
		}
		for _, s := range k.Windows {
			if !id.Holds(s.First) || !id.Holds(s.Last) {
				return fmt.Errorf("GPU %q has records in windows %d to %d, its host has none", k.Name, s.First, s.Last)
			}
		}
	}
	if (id.Joined.Node == "") != (id.Joined.At == 0) {
		return fmt.Errorf("joined to %q at %v", id.Joined.Node, id.Joined.At)
	}
	return checkWindows(id.Windows)
}

// checkLists returns an error unless runs and parts are in order, runs of one value apart, and all windows valid.
func (k *KnownGPU) checkLists() error {
	switch {
	case !isStrictlyAscending(k.Runs, compareRun):
		return errors.New("runs are not in order")
	case !isStrictlyAscending(k.Parts, func(a, b *KnownPart) int { return strings.Compare(a.Name, b.Name) }):
		return errors.New("parts are not in order")
	}
	for i, r := range k.Runs {
		switch {
		case r.Last < WindowOf(r.First) || r.Last > WindowOf(maxTime):
			return fmt.Errorf("a run from %v ends in window %d", r.First, r.Last)
		case i > 0 && compareRunValue(k.Runs[i-1], r) == 0 && WindowOf(r.First) <= k.Runs[i-1].Last+1:
			return fmt.Errorf("a run from %v touches the one before", r.First)
		}
	}
	return cmp.Or(checkWindows(k.Windows), checkWindows(k.Listed), checkWindows(k.Stated))
}

// Check returns an error that names the first broken invariant of a host's window w, nil when all hold: columns are in
// order, with canonical readings, all of window w, none implausible.
func (s *HostWindow) Check(w Window) error {
	if !isStrictlyAscending(s.Columns, compareKey) {
		return errors.New("checking series: columns are not in order")
	}
	if !isStrictlyAscending(s.Identities, func(a, b *WindowIdentity) int { return cmp.Compare(a.ID, b.ID) }) {
		return errors.New("checking series: identities are not in order")
	}
	for _, e := range s.Identities {
		if e.Identity.ID() != e.ID {
			return fmt.Errorf("checking series: identity %016x hashes to %016x", e.ID, e.Identity.ID())
		}
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		if s.Find(c.Identity) == nil {
			return fmt.Errorf("checking series: identity %016x of %v %s is not there", c.Identity, c.Entity, c.Metric)
		}
		if err := c.checkRows(w); err != nil {
			return fmt.Errorf("checking series: %v %s: %w", c.Entity, c.Metric, err)
		}
	}
	return nil
}

func (c *Column) checkRows(w Window) error {
	n := c.Len()
	if n == 0 {
		return errors.New("no readings")
	}
	if WindowOf(c.Times[0]) != w || WindowOf(c.Times[n-1]) != w {
		return fmt.Errorf("readings from %v to %v are not all of window %d", c.Times[0], c.Times[n-1], w)
	}
	for _, a := range c.Absent {
		if a.Reason == events.Implausible {
			return errors.New("implausible reading")
		}
	}
	return c.Samples.Check()
}
