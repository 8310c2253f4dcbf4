package projections

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"telemetry-pipeline/events"
)

// Check returns an error that names the first broken invariant of the models, nil when all hold: lists are sorted and
// without repeats, readings are plausible and no newer than their entity, identities resolve and hash to their id,
// windows are disjoint and contain every time of the models.
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
	k, ok := h.Identity.Find(e.Identity)
	switch {
	case len(e.Latest) == 0:
		return errors.New("has no readings")
	case !isStrictlyAscending(e.Latest, func(a, b *Latest) int { return strings.Compare(a.Metric, b.Metric) }):
		return errors.New("metrics are not in order")
	case newestLatest(e.Latest) != e.SeenAt:
		return fmt.Errorf("seen at %v, but the newest reading is of %v", e.SeenAt, newestLatest(e.Latest))
	case !ok:
		return fmt.Errorf("identity %016x is not known", e.Identity)
	case k.Identity.Entity(h.ID) != e.Entity:
		return fmt.Errorf("identity %016x is of %v", e.Identity, k.Identity.Entity(h.ID))
	case k.FirstSeen > e.SeenAt:
		return fmt.Errorf("seen at %v, but its identity first at %v", e.SeenAt, k.FirstSeen)
	}
	for i := range e.Latest {
		if err := h.checkLatest(&e.Latest[i]); err != nil {
			return fmt.Errorf("metric %s: %w", e.Latest[i].Metric, err)
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
	if !isStrictlyAscending(id.Known, func(a, b *Known) int { return cmp.Compare(a.ID, b.ID) }) {
		return errors.New("identities are not in order")
	}
	for i := range id.Known {
		k := &id.Known[i]
		switch {
		case k.Identity.ID() != k.ID:
			return fmt.Errorf("identity %016x hashes to %016x", k.ID, k.Identity.ID())
		case !id.Holds(WindowOf(k.FirstSeen)):
			return fmt.Errorf("identity %016x was first seen at %v, in no known window", k.ID, k.FirstSeen)
		}
	}
	return checkWindows(id.Windows)
}

// Check returns an error that names the first broken invariant of a host's window w, nil when all hold: columns are in
// order, with canonical readings, all of window w, none implausible.
func (s *HostWindow) Check(w Window) error {
	if !isStrictlyAscending(s.Columns, compareKey) {
		return errors.New("checking series: columns are not in order")
	}
	for i := range s.Columns {
		c := &s.Columns[i]
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
